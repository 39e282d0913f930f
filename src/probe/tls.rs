//! HTTPS: TLS 1.2 and 1.3 over the handed socket (HC-14, B-117).
//!
//! rustls speaks, with ring beneath it; the socket and the deadline are ours. Nothing is kept from probe to
//! probe: no session, no authorities. Decided: an end without close_notify is an end like any other, since a
//! page says itself whether it is whole; renegotiation is refused; without SNI where the name is an address.

mod trust;
mod words;

use super::talk::{Line, Stop};
use super::{Ending, Means};
use crate::limits::TLS_HANDSHAKE_MAX;
use crate::model::{Reason, cut};
use crate::time::Duration;
use crate::wire::job::TlsTask;
use rustls::client::Resumption;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, IpAddr, Ipv4Addr, PrivateKeyDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, ClientConnection, InconsistentKeys};
use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;

/// How long a last word may take: it is of use to the server's log only.
const GOODBYE_TIMEOUT: Duration = Duration::from_millis(100);

/// A connection over TLS.
pub(super) struct Tls<'l> {
    connection: ClientConnection,
    wire: Wire<'l>,
}

/// Shakes hands. `timeout` is for the words of the reason only.
///
/// # Errors
/// How the conversation ended.
pub(super) fn open<'l>(
    task: &TlsTask<'_>,
    timeout: Duration,
    line: &'l mut dyn Line,
    means: &Means<'_>,
) -> Result<Tls<'l>, Ending> {
    if !(means.has_random)() {
        return Err(Ending::not_run(format_args!("this router has no random numbers yet")));
    }
    let not_run = |why: Reason| Ending::not_run(format_args!("{why}"));
    let config = configure(task, means).map_err(not_run)?;
    let connection = ClientConnection::new(Arc::new(config), name(task).map_err(not_run)?)
        .map_err(|error| Ending::not_run(format_args!("TLS: {error}")))?;
    let mut tls = Tls { connection, wire: Wire { line, stop: None, count: 0 } };
    match tls.shake_hands() {
        Ok(()) => Ok(tls),
        Err(Fault::Stopped(stop)) => {
            let what = "TLS handshake not complete";
            Err(Ending::stopped(0, stop, what, "in the TLS handshake", timeout))
        }
        Err(Fault::Tls(error)) => {
            tls.goodbye();
            Err(words::ending(&error))
        }
    }
}

/// Whom the certificate must name. Where nobody looks at it, any name will do.
fn name(task: &TlsTask<'_>) -> Result<ServerName<'static>, Reason> {
    match ServerName::try_from(task.name.to_owned()) {
        Ok(name) => Ok(name),
        Err(_) if task.ca.is_empty() => Ok(ServerName::IpAddress(IpAddr::V4(Ipv4Addr::from([0; 4])))),
        Err(_) => Err(cut(format_args!("{} is no host name", task.name))),
    }
}

/// # Errors
/// What is wrong with one of the files.
fn configure(task: &TlsTask<'_>, means: &Means<'_>) -> Result<ClientConfig, Reason> {
    let mut files = means.files.iter();
    let mut file = |path: &str| if path.is_empty() { None } else { files.next() };
    let (ca, certificate, key) = (file(task.ca), file(task.certificate), file(task.key));
    let provider = Arc::new(default_provider());
    let builder = ClientConfig::builder_with_details(provider.clone(), Arc::new(Wall(means.wall)))
        .with_safe_default_protocol_versions()
        .map_err(|error| cut(format_args!("TLS: {error}")))?
        .dangerous()
        .with_custom_certificate_verifier(match ca {
            Some(pem) => trust::checked(&provider, pem, task.ca)?,
            None => trust::anyone(&provider),
        });
    let mut config = match (certificate, key) {
        (Some(certificate), Some(key)) => {
            let chain = certificates(certificate, task.certificate)?;
            let key = PrivateKeyDer::from_pem_slice(key)
                .map_err(|_| cut(format_args!("no private key in {}", task.key)))?;
            builder.with_client_auth_cert(chain, key).map_err(|error| match error {
                rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                    cut(format_args!("{} is not the key of {}", task.key, task.certificate))
                }
                _ => cut(format_args!("no use for the key in {}", task.key)),
            })?
        }
        (Some(_) | None, _) => builder.with_no_client_auth(),
    };
    config.enable_sni = task.sni;
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// All certificates of a PEM file.
///
/// # Errors
/// Where there is none, or one that is none.
fn certificates(pem: &[u8], path: &str) -> Result<Vec<CertificateDer<'static>>, Reason> {
    let all = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        Ok(_) | Err(_) => Err(cut(format_args!("no certificate in {path}"))),
    }
}

/// The wall clock as rustls wants it.
#[derive(Debug)]
struct Wall(fn() -> Duration);

impl TimeProvider for Wall {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch((self.0)().into()))
    }
}

enum Fault {
    Stopped(Stop),
    Tls(rustls::Error),
}

impl Tls<'_> {
    fn shake_hands(&mut self) -> Result<(), Fault> {
        self.flush().map_err(Fault::Stopped)?;
        while self.connection.is_handshaking() {
            self.more()?;
            self.flush().map_err(Fault::Stopped)?;
            if self.connection.is_handshaking() && self.wire.count > TLS_HANDSHAKE_MAX {
                let words = format_args!("more than {} KiB of TLS handshake", TLS_HANDSHAKE_MAX >> 10);
                return Err(Fault::Stopped(Stop::Wrong(cut(words))));
            }
        }
        Ok(())
    }

    /// Reads what comes next, and takes it apart.
    fn more(&mut self) -> Result<(), Fault> {
        match self.connection.read_tls(&mut self.wire) {
            Ok(0) => return Err(Fault::Stopped(Stop::Closed)),
            Ok(_) => {}
            Err(error) => return Err(Fault::Stopped(self.wire.why(&error))),
        }
        self.connection.process_new_packets().map(drop).map_err(Fault::Tls)
    }

    /// Sends what is to be sent.
    fn flush(&mut self) -> Result<(), Stop> {
        while self.connection.wants_write() {
            if let Err(error) = self.connection.write_tls(&mut self.wire) {
                return Err(self.wire.why(&error));
            }
        }
        Ok(())
    }

    /// Sends a last word: the alert that an error made, or that this was all.
    pub(super) fn goodbye(&mut self) {
        self.hurry(GOODBYE_TIMEOUT);
        self.connection.send_close_notify();
        let _ = self.flush();
    }
}

impl Line for Tls<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Stop> {
        loop {
            match self.connection.reader().read(buffer) {
                Ok(0) => return Err(Stop::Closed),
                Ok(len) => return Ok(len),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return Err(Stop::Closed),
            }
            match self.more() {
                Ok(()) => self.flush()?,
                Err(Fault::Stopped(stop)) => return Err(stop),
                Err(Fault::Tls(error)) => return Err(Stop::Wrong(words::ending(&error).reason)),
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        // All of it is taken: a request is far below what rustls holds.
        self.connection.writer().write_all(bytes).map_err(|error| Stop::Local(error.kind()))?;
        self.flush()
    }

    fn hurry(&mut self, at_most: Duration) {
        self.wire.line.hurry(at_most);
    }
}

/// The socket as rustls wants it; why it stopped is kept beside.
struct Wire<'l> {
    line: &'l mut dyn Line,
    stop: Option<Stop>,
    /// Bytes read.
    count: usize,
}

impl Wire<'_> {
    fn why(&mut self, error: &io::Error) -> Stop {
        self.stop.take().unwrap_or(Stop::Other(error.kind()))
    }

    fn stopped(&mut self, stop: Stop) -> io::Error {
        self.stop = Some(stop);
        ErrorKind::Other.into()
    }
}

impl Read for Wire<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.line.read(buffer) {
            Ok(len) => {
                self.count = self.count.saturating_add(len);
                Ok(len)
            }
            Err(Stop::Closed) => Ok(0),
            Err(stop) => Err(self.stopped(stop)),
        }
    }
}

impl Write for Wire<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.line.write(bytes) {
            Ok(()) => Ok(bytes.len()),
            Err(stop) => Err(self.stopped(stop)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
