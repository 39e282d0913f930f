use super::*;

fn answer(kind: u16, seq: u32, port: u32, errno: i32) -> Vec<u8> {
    let mut bytes = [0; 64];
    let mut batch = Batch::new(&mut bytes);
    batch
        .message(kind, 0x100, seq, |body| body.bytes(&[&(-errno).to_ne_bytes()[..], &[0; 16]].concat()))
        .unwrap();
    let mut bytes = batch.bytes().to_vec();
    bytes[12..16].copy_from_slice(&port.to_ne_bytes());
    bytes
}

fn results(answers: &Answers) -> Vec<Result<(), Refusal>> {
    (0..answers.count).map(|number| answers.result(number)).collect()
}

#[test]
fn silence_before_the_last_answer_is_success() {
    let mut answers = Answers::new(7, u32::MAX, 3);
    assert_eq!(results(&answers), [Err(Refusal::Interrupted); 3], "nothing is known without an answer");
    answers.handle_datagram(&answer(2, 0, 7, libc::ENODEV));
    assert_eq!(
        results(&answers),
        [Err(Refusal::Interrupted), Err(Refusal::NoDevice), Err(Refusal::Interrupted)],
        "B-93: the refusal is known, the rest is not; numbers wrap"
    );
    answers.handle_datagram(&answer(2, 1, 7, 0));
    assert_eq!(results(&answers), [Ok(()), Err(Refusal::NoDevice), Ok(())]);
}

#[test]
fn refusal_of_the_last_one_ends_the_batch_too() {
    let mut answers = Answers::new(7, 1, 2);
    answers.handle_datagram(&answer(2, 2, 7, libc::EADDRNOTAVAIL));
    assert_eq!(results(&answers), [Ok(()), Err(Refusal::NotFound)]);
}

#[test]
fn b85_answers_to_others_and_to_earlier_batches_change_nothing() {
    let mut answers = Answers::new(7, 10, 1);
    answers.handle_datagram(&answer(2, 9, 7, libc::EPERM));
    answers.handle_datagram(&answer(2, 11, 7, libc::EPERM));
    answers.handle_datagram(&answer(2, 10, 8, libc::EPERM));
    answers.handle_datagram(&answer(20, 10, 7, libc::EPERM));
    answers.handle_datagram(&[0xff; 30]);
    assert_eq!(results(&answers), [Err(Refusal::Interrupted)]);
    answers.handle_datagram(&answer(2, 10, 7, 0));
    assert_eq!(results(&answers), [Ok(())]);
}

#[test]
fn leases_are_whole_seconds_rounded_up_and_never_mean_for_ever() {
    for (lease, want) in [
        (Duration::from_millis(1), 1),
        (Duration::from_secs(3), 3),
        (Duration::from_millis(3001), 4),
        (Duration::from_secs(u64::from(u32::MAX)), u32::MAX - 1),
        (Duration::from_secs(1 << 40), u32::MAX - 1),
    ] {
        assert_eq!(seconds(lease), want, "{lease}");
    }
}
