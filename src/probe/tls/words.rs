//! What went wrong with TLS, in words for whoever runs the router.

use crate::model::{Reason, cut};
use crate::probe::Ending;
use crate::wire::date;
use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible};

/// A clock before 2025-01-01 was never set: there is no battery in a small router.
const CLOCK_SET: u64 = 1_735_689_600;

/// As webpki calls it: a server shows what `openssl req -x509` made.
const CA_SHOWN: &str = "CaUsedAsEndEntity";

/// How the conversation ended. A certificate that this router's clock makes one of the future is no verdict
/// on the server (HC-4).
pub(super) fn ending(error: &Error) -> Ending {
    match error {
        Error::InvalidCertificate(CertificateError::NotValidYetContext { time, .. })
            if time.as_secs() < CLOCK_SET =>
        {
            let today = day(*time);
            Ending::not_run(format_args!("certificate not judged: this router's clock says {today}"))
        }
        Error::InvalidCertificate(error) => Ending::failed(0, format_args!("{}", certificate(error))),
        Error::AlertReceived(alert) => Ending::failed(0, format_args!("{}", of_alert(*alert))),
        Error::InvalidMessage(
            InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
        ) => Ending::failed(0, format_args!("no TLS is spoken there")),
        Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) => Ending::failed(0, format_args!("neither TLS 1.2 nor 1.3 is spoken there")),
        Error::FailedToGetRandomBytes => Ending::not_run(format_args!("no random numbers")),
        Error::General(words) => Ending::failed(0, format_args!("TLS: {words}")),
        other => Ending::failed(0, format_args!("TLS: {other}")),
    }
}

fn certificate(error: &CertificateError) -> Reason {
    match error {
        CertificateError::ExpiredContext { not_after, .. } => {
            cut(format_args!("certificate expired {}", day(*not_after)))
        }
        CertificateError::NotValidYetContext { not_before, .. } => {
            cut(format_args!("certificate is not valid before {}", day(*not_before)))
        }
        CertificateError::UnknownIssuer => cut(format_args!("certificate of an unknown authority")),
        CertificateError::NotValidForNameContext { expected, presented } => {
            let want = expected.to_str();
            match presented.as_slice() {
                [] => cut(format_args!("certificate is for no name at all, want {want}")),
                [one] => cut(format_args!("certificate is for {}, want {want}", bare(one))),
                [one, more @ ..] => {
                    let more = more.len();
                    cut(format_args!("certificate is for {} and {more} more, want {want}", bare(one)))
                }
            }
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            cut(format_args!("certificate is not one for servers"))
        }
        CertificateError::BadEncoding => cut(format_args!("certificate cannot be read")),
        CertificateError::BadSignature => cut(format_args!("certificate not signed by its authority")),
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            cut(format_args!("certificate signed in a way that is not known, or no longer safe"))
        }
        CertificateError::UnhandledCriticalExtension => {
            cut(format_args!("certificate with a critical extension that is not known"))
        }
        CertificateError::Other(other) => match other.to_string() {
            why if why == CA_SHOWN => {
                cut(format_args!("certificate is an authority's own, and not one of the file"))
            }
            why => cut(format_args!("certificate refused: {why}")),
        },
        other => cut(format_args!("certificate refused: {other}")),
    }
}

/// `a.example.org` of `DnsName("a.example.org")`.
fn bare(presented: &str) -> &str {
    let inner = presented.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.map_or(presented, |inner| inner.trim_matches('"'))
}

fn of_alert(alert: AlertDescription) -> Reason {
    match alert {
        AlertDescription::HandshakeFailure => {
            cut(format_args!("TLS refused: no cipher in common, or a client certificate is wanted"))
        }
        AlertDescription::ProtocolVersion => cut(format_args!("TLS refused: neither 1.2 nor 1.3 is spoken")),
        AlertDescription::CertificateRequired => {
            cut(format_args!("TLS refused: a client certificate is wanted"))
        }
        AlertDescription::UnrecognisedName => cut(format_args!("TLS refused: the name (SNI) is not known")),
        AlertDescription::UnknownCA
        | AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::AccessDenied => {
            cut(format_args!("TLS refused: our certificate is not taken ({alert:?})"))
        }
        other => cut(format_args!("TLS refused: {other:?}")),
    }
}

fn day(time: UnixTime) -> heapless::String<10> {
    date::day(i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
}
