//! What speaks over the network besides the routers: web servers, clients, a mail server.

use crate::net::Host;
use nix::sys::time::{TimeVal, TimeValLike};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A web server, mostly on port 80 of all addresses of a host; its page is its name.
pub struct Web {
    /// Where it runs.
    pub host: Host,
    wanted: Arc<AtomicBool>,
    listening: Arc<AtomicBool>,
}

impl Web {
    /// Starts one on port 80.
    pub fn start(host: &Host, page: &str) -> Web {
        Web::start_at(host, SocketAddr::from(([0, 0, 0, 0], 80)), page)
    }

    /// Starts one anywhere.
    pub fn start_at(host: &Host, address: SocketAddr, page: &str) -> Web {
        let wanted = Arc::new(AtomicBool::new(true));
        let listening = Arc::new(AtomicBool::new(false));
        let web = Web { host: host.clone(), wanted: wanted.clone(), listening: listening.clone() };
        let (host, page) = (host.clone(), page.to_string());
        std::thread::spawn(move || {
            host.enter();
            loop {
                while !wanted.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(20));
                }
                let listener = TcpListener::bind(address).unwrap_or_else(|e| panic!("{address}: {e}"));
                listening.store(true, Ordering::SeqCst);
                while wanted.load(Ordering::SeqCst) {
                    if let Some(stream) = accept(&listener) {
                        let page = page.clone();
                        std::thread::spawn(move || serve_page(stream, &page));
                    }
                }
                drop(listener);
                listening.store(false, Ordering::SeqCst);
            }
        });
        web.up();
        web
    }

    /// Stops it: connections are refused from now on.
    pub fn down(&self) {
        self.turn(false);
    }

    /// Starts it again.
    pub fn up(&self) {
        self.turn(true);
    }

    fn turn(&self, on: bool) {
        self.wanted.store(on, Ordering::SeqCst);
        while self.listening.load(Ordering::SeqCst) != on {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// The next connection, or `None` after a while.
fn accept(listener: &TcpListener) -> Option<TcpStream> {
    let mut entry = [nix::poll::PollFd::new(listener.as_fd(), nix::poll::PollFlags::POLLIN)];
    match nix::poll::poll(&mut entry, 50u16) {
        Ok(count) if count > 0 => listener.accept().ok().map(|(stream, _)| stream),
        _ => None,
    }
}

fn serve_page(mut stream: TcpStream, page: &str) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(3)));
    let mut request: Vec<u8> = Vec::new();
    let mut bytes = [0; 1024];
    while !request.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read(&mut bytes) {
            Ok(0) | Err(_) => return,
            Ok(count) => request.extend(&bytes[..count]),
        }
    }
    let length = page.len() + 1;
    let reply = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{page}\n");
    let _ = stream.write_all(reply.as_bytes());
}

/// The page at `address`, asked for from the calling thread's namespace.
pub fn get(address: SocketAddr, timeout: Duration) -> std::io::Result<String> {
    get_from(fresh_port(), address, timeout)
}

/// A port that no request came from for long. IPVS remembers a connection for two minutes by its client's
/// port: what comes from there again goes to the old destination without being scheduled, and is dropped
/// where that is gone.
fn fresh_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    const FIRST: u16 = 1024;
    let span = u32::from(u16::MAX - FIRST);
    FIRST + (NEXT.fetch_add(1, Ordering::SeqCst) % span) as u16
}

/// As [`get`], from this port of the client.
fn get_from(port: u16, address: SocketAddr, timeout: Duration) -> std::io::Result<String> {
    use nix::sys::socket as net;
    let SocketAddr::V4(to) = address else { return Err(ErrorKind::Unsupported.into()) };
    let flags = net::SockFlag::SOCK_CLOEXEC;
    let socket = net::socket(net::AddressFamily::Inet, net::SockType::Stream, flags, None)?;
    net::setsockopt(&socket, net::sockopt::ReuseAddr, &true)?;
    // The kernel takes it as the limit for a connection, too.
    // Not in its parts: they have 32 bits on some processors.
    let limit = TimeVal::microseconds(timeout.as_micros() as i64);
    net::setsockopt(&socket, net::sockopt::SendTimeout, &limit)?;
    net::bind(socket.as_raw_fd(), &net::SockaddrIn::new(0, 0, 0, 0, port))?;
    net::connect(socket.as_raw_fd(), &net::SockaddrIn::from(to))?;
    read_page(TcpStream::from(socket), address, timeout)
}

fn read_page(mut stream: TcpStream, address: SocketAddr, timeout: Duration) -> std::io::Result<String> {
    stream.set_read_timeout(Some(timeout))?;
    stream.write_all(format!("GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply)?;
    let reply = String::from_utf8_lossy(&reply);
    match reply.split_once("\r\n\r\n") {
        Some((_, page)) => Ok(page.trim_end().to_string()),
        None => Err(ErrorKind::UnexpectedEof.into()),
    }
}

/// One request of a [`Client`].
#[derive(Clone, Debug)]
pub struct Request {
    /// When it ended.
    pub end: Instant,
    /// The page, or why there is none.
    pub page: Result<String, ErrorKind>,
}

/// A client that goes on requesting in the background.
pub struct Client {
    stop: Arc<AtomicBool>,
    requests: Arc<Mutex<Vec<Request>>>,
    thread: JoinHandle<()>,
}

impl Client {
    /// A new request every `pace`, whether the last is answered or not; with zero, one after the other
    /// without pause.
    pub fn start(host: &Host, address: SocketAddr, pace: Duration, timeout: Duration) -> Client {
        let stop = Arc::new(AtomicBool::new(false));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (host, ended, list) = (host.clone(), stop.clone(), requests.clone());
        let thread = std::thread::spawn(move || {
            host.enter();
            let running = Arc::new(AtomicU32::new(0));
            while !ended.load(Ordering::SeqCst) {
                if pace.is_zero() {
                    one_request(&list, || get(address, timeout));
                    continue;
                }
                let next = Instant::now() + pace;
                let (list, count) = (list.clone(), running.clone());
                count.fetch_add(1, Ordering::SeqCst);
                std::thread::spawn(move || {
                    one_request(&list, || get(address, timeout));
                    count.fetch_sub(1, Ordering::SeqCst);
                });
                std::thread::sleep(next.saturating_duration_since(Instant::now()));
            }
            while running.load(Ordering::SeqCst) > 0 {
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        Client { stop, requests, thread }
    }

    /// The requests so far.
    pub fn so_far(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// Ends it; all its requests in the order of their ends.
    pub fn end(self) -> Vec<Request> {
        self.stop.store(true, Ordering::SeqCst);
        let _ = self.thread.join();
        let mut requests = self.requests.lock().unwrap().clone();
        requests.sort_by_key(|request| request.end);
        requests
    }
}

fn one_request(list: &Mutex<Vec<Request>>, get: impl FnOnce() -> std::io::Result<String>) {
    let page = get().map_err(|error| error.kind());
    list.lock().unwrap().push(Request { end: Instant::now(), page });
}

/// The longest time without an answer between the first and the last answered request.
pub fn longest_gap(requests: &[Request]) -> Duration {
    let answered: Vec<Instant> = requests.iter().filter(|r| r.page.is_ok()).map(|r| r.end).collect();
    answered.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(Duration::MAX)
}

/// A mail as the sink took it.
#[derive(Clone, Debug, Default)]
pub struct Mail {
    /// Envelope sender.
    pub from: String,
    /// Envelope recipients.
    pub to: Vec<String>,
    /// Header and body, dot-stuffing undone.
    pub text: String,
}

/// A mail server on 127.0.0.1:25 of a host.
#[derive(Clone)]
pub struct Sink {
    mails: Arc<Mutex<Vec<Mail>>>,
}

impl Sink {
    /// Starts one.
    pub fn start(host: &Host) -> Sink {
        let sink = Sink { mails: Arc::default() };
        let (host, mails) = (host.clone(), sink.mails.clone());
        let (ready, wait) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            host.enter();
            let listener = TcpListener::bind("127.0.0.1:25").unwrap_or_else(|e| panic!("port 25: {e}"));
            let _ = ready.send(());
            for stream in listener.incoming().flatten() {
                let mails = mails.clone();
                std::thread::spawn(move || serve_mail(&stream, &mails));
            }
        });
        let _ = wait.recv();
        sink
    }

    /// The mails so far.
    pub fn mails(&self) -> Vec<Mail> {
        self.mails.lock().unwrap().clone()
    }
}

fn serve_mail(stream: &TcpStream, mails: &Mutex<Vec<Mail>>) -> Option<()> {
    stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    let (mut out, mut lines) = (stream, BufReader::new(stream));
    out.write_all(b"220 sink ready\r\n").ok()?;
    let mut mail = Mail::default();
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_string();
        let word = line.get(..4).unwrap_or_default().to_ascii_uppercase();
        match word.as_str() {
            "MAIL" => mail = Mail { from: line, ..Mail::default() },
            "RCPT" => mail.to.push(line),
            "DATA" => {
                out.write_all(b"354 go on\r\n").ok()?;
                loop {
                    let mut line = String::new();
                    if lines.read_line(&mut line).ok()? == 0 {
                        return None;
                    }
                    match line.trim_end() {
                        "." => break,
                        text => mail.text.push_str(text.strip_prefix('.').unwrap_or(text)),
                    }
                    mail.text.push('\n');
                }
                mails.lock().unwrap().push(std::mem::take(&mut mail));
            }
            "QUIT" => {
                let _ = out.write_all(b"221 bye\r\n");
                return Some(());
            }
            _ => {}
        }
        out.write_all(b"250 ok\r\n").ok()?;
    }
}
