//! Jobs and reports there and back, cut and changed.

use super::*;
use crate::limits::REASON_MAX;

const DIGEST: [u8; 16] = *b"0123456789abcdef";

const BODY: Body<'static> = Body {
    digest: Some(DIGEST),
    raw: true,
    regex: Some(Pattern { pattern: "^ok$", negated: true, first: 7, last: 1 << 20 }),
};

const TLS: TlsTask<'static> =
    TlsTask { name: "example.org", sni: true, ca: "/ca", certificate: "/crt", key: "/key" };

fn page(buffer: &mut [u8; JOB_MAX], tls: Option<&TlsTask<'_>>) -> usize {
    let ranges = [(200, 204), (301, 301)].into_iter();
    let len = emit_http(buffer, Duration::from_secs(5), write(b"GET"), tls, &BODY, ranges).unwrap();
    stamp(&mut buffer[..len], 7, Duration::from_millis(3000));
    len
}

fn http(buffer: &mut [u8; JOB_MAX]) -> usize {
    page(buffer, None)
}

fn https(buffer: &mut [u8; JOB_MAX]) -> usize {
    page(buffer, Some(&TLS))
}

fn write(bytes: &'static [u8]) -> impl FnOnce(&mut [u8]) -> Option<usize> {
    |room| {
        room.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(bytes.len())
    }
}

fn mail(buffer: &mut [u8; JOB_MAX]) -> usize {
    let envelope = Envelope { helo: "gw", from: "a@b", subject: "S", date: "D", message_id: "<1@gw>" };
    emit_mail(buffer, Duration::from_secs(5), envelope, ["c@d", "e@f"].into_iter(), "one\ntwo\n").unwrap()
}

fn smtp(buffer: &mut [u8; JOB_MAX]) -> usize {
    emit_smtp(buffer, Duration::from_secs(5), "gw").unwrap()
}

#[test]
fn a_job_comes_out_as_it_went_in() {
    let mut buffer = [0; JOB_MAX];
    let len = http(&mut buffer);
    let job = Job::parse(&buffer[..len]).unwrap();
    assert_eq!((job.token, job.left), (7, Duration::from_secs(3)), "the stamp is lost otherwise");
    assert_eq!(job.timeout, Duration::from_secs(5), "the words would name another time");
    let Task::Http(task) = job.task else { panic!("kind lost") };
    assert_eq!((task.request, task.sent, task.tls), (&b"GET"[..], false, None));
    assert_eq!(task.body, BODY, "another page would pass");
    assert_eq!(request(&buffer[..len]), Some(&b"GET"[..]), "the loop would send something else");
    mark_sent(&mut buffer[..len]);
    let Task::Http(task) = Job::parse(&buffer[..len]).unwrap().task else { panic!("kind lost") };
    assert_eq!((task.request, task.sent), (&b"GET"[..], true), "it would be sent twice");
    assert!(task.status.contains(204) && task.status.contains(301), "HC-11: ends of ranges are wanted");
    assert!(!task.status.contains(205) && !task.status.contains(300), "HC-11: what is outside is not");

    let len = mail(&mut buffer);
    let Task::Mail(task) = Job::parse(&buffer[..len]).unwrap().task else { panic!("kind lost") };
    assert_eq!(task.to.iter().collect::<Vec<_>>(), ["c@d", "e@f"], "every recipient must arrive");
    assert_eq!((task.helo, task.from, task.subject, task.body), ("gw", "a@b", "S", "one\ntwo\n"));

    let len = smtp(&mut buffer);
    let task = Job::parse(&buffer[..len]).unwrap().task;
    assert_eq!(task, Task::Smtp(SmtpTask { helo: "gw" }), "HC-25: the name in HELO");
}

#[test]
fn a_page_over_tls_names_its_files_and_is_never_sent_by_the_loop() {
    let mut buffer = [0; JOB_MAX];
    let len = https(&mut buffer);
    let Task::Http(task) = Job::parse(&buffer[..len]).unwrap().task else { panic!("kind lost") };
    assert_eq!((task.tls, task.body), (Some(TLS), BODY));
    assert_eq!(TLS.files().collect::<Vec<_>>(), ["/ca", "/crt", "/key"], "one would be taken for another");
    assert_eq!(request(&buffer[..len]), None, "the request would go out in the clear");

    let none = TlsTask { ca: "", certificate: "", key: "", sni: false, ..TLS };
    let len = page(&mut buffer, Some(&none));
    let Task::Http(task) = Job::parse(&buffer[..len]).unwrap().task else { panic!("kind lost") };
    assert_eq!((task.tls, none.files().count()), (Some(none), 0));

    let len = page(&mut buffer, Some(&TlsTask { key: "", ..TLS }));
    assert_eq!(Job::parse(&buffer[..len]), Err(JobError::Text), "a certificate without its key");
}

#[test]
fn what_is_not_sent_by_the_loop_is_not_marked_so() {
    let mut buffer = [0; JOB_MAX];
    for emit in [https, mail, smtp] {
        let len = emit(&mut buffer);
        assert_eq!(request(&buffer[..len]), None, "the server speaks first, or TLS is spoken");
        let before = buffer;
        mark_sent(&mut buffer[..len]);
        assert_eq!(buffer, before);
    }
}

#[test]
fn a_job_that_does_not_fit_is_refused() {
    let mut buffer = [0; JOB_MAX];
    let mut emit = |write: &dyn Fn(&mut [u8]) -> Option<usize>, ranges: usize| {
        let ranges = core::iter::repeat_n((200, 299), ranges);
        emit_http(&mut buffer, Duration::ZERO, write, None, &BODY, ranges)
    };
    assert_eq!(emit(&|room| Some(room.len()), 0), None, "would be cut silently");
    assert_eq!(emit(&|_| Some(3), 256), None, "the count would wrap to 0");
    assert_eq!(emit(&|_| None, 0), None, "there is no request");
}

#[test]
fn cut_and_changed_jobs_are_refused_or_read_never_a_panic() {
    let mut buffer = [0; JOB_MAX];
    for emit in [http, https, mail, smtp] {
        let len = emit(&mut buffer);
        for cut in 0..len {
            assert!(Job::parse(&buffer[..cut]).is_err(), "a job cut at {cut} must not be acted on");
        }
        assert_eq!(Job::parse(&buffer[..len + 1]), Err(JobError::Length), "bytes left over");
        for at in 0..len {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut changed = buffer;
                changed[at] = value;
                if let Ok(Job { task: Task::Mail(task), .. }) = Job::parse(&changed[..len]) {
                    assert!(task.to.iter().count() <= 255, "the iterator must end");
                }
            }
        }
    }
}

#[test]
fn an_absurd_time_is_cut_to_a_day() {
    let mut buffer = [0; JOB_MAX];
    let len = http(&mut buffer);
    buffer[LEFT_AT..LEFT_AT + 8].copy_from_slice(&[0xff; 8]);
    let job = Job::parse(&buffer[..len]).unwrap();
    assert_eq!(job.left, Duration::from_secs(86_400), "adding it to a clock would overflow");
}

#[test]
fn a_report_comes_out_as_it_went_in() {
    let report = Report {
        token: 0xfffe_fdfc,
        verdict: Verdict::Failed,
        status: 503,
        digest: Some(DIGEST),
        took: Duration::from_micros(1_234_567),
        steps: [1, 0, 0xfffe_fdfc, 4],
        bytes: 5,
        reason: ReportText::try_from("HTTP 503, want 200").unwrap(),
    };
    let bytes = report.emit();
    assert_eq!(Report::parse(&bytes), Ok(report), "the verdict would be another");
    assert_eq!(Report::parse(&bytes[..REPORT_LEN - 1]), Err(JobError::Length), "short report believed");
    let mut long = bytes.to_vec();
    long.push(0);
    assert_eq!(Report::parse(&long), Err(JobError::Length), "long report believed");
}

#[test]
fn a_report_of_nonsense_is_refused() {
    let mut bytes = [0xffu8; REPORT_LEN];
    assert_eq!(Report::parse(&bytes), Err(JobError::Number), "verdict 255");
    bytes = [0; REPORT_LEN];
    bytes[7] = 2;
    assert_eq!(Report::parse(&bytes), Err(JobError::Number), "digest flag 2");
    bytes = [0; REPORT_LEN];
    let len_at = REPORT_LEN - REASON_MAX - 1;
    bytes[len_at] = REASON_MAX as u8 + 1;
    assert_eq!(Report::parse(&bytes), Err(JobError::Number), "reason longer than its field");
    bytes[len_at] = 1;
    bytes[len_at + 1] = 0x1b;
    assert_eq!(Report::parse(&bytes), Err(JobError::Text), "SEC-15: an escape would reach a terminal");
    bytes[len_at + 1] = 0xc3;
    assert_eq!(Report::parse(&bytes), Err(JobError::Text), "half a character would reach a terminal");
}
