//! Whom to believe: anybody, or whom a file of authorities speaks for.
//!
//! Either way the other end proves that it has the key of the certificate that it shows: its signature of the
//! handshake is checked, with no regard to the rest of the certificate, which may be old or odd.

use super::certificates;
use crate::model::Reason;
use crate::time::Duration;
use crate::wire::x509::Certificate;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::sync::Arc;

/// Contents of the AlgorithmIdentifier of an RSA key (RFC 8017 §A.1): rsaEncryption and NULL.
const RSA: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
/// Bytes of an RSA public key of 2048 bits, at least: ring takes none that is shorter.
const RSA_2048_LEN: usize = 256 + 8;

/// Believes anybody (HC-14: `verify = "off"`, keepalived's way).
pub(super) fn anyone(provider: &CryptoProvider) -> Arc<dyn ServerCertVerifier> {
    Arc::new(Trust { algorithms: provider.signature_verification_algorithms, checked: None })
}

/// Believes whom the file speaks for: a chain to one of its certificates, or one of them itself, with the
/// right name and not out of date. Nothing is asked about revocations: a router has no lists of them, and
/// the code for them, which rustls's own verifier brings, would only be weight.
///
/// # Errors
/// Where the file has no certificate.
pub(super) fn checked(
    provider: &CryptoProvider,
    pem: &[u8],
    path: &str,
) -> Result<Arc<dyn ServerCertVerifier>, Reason> {
    let known = certificates(pem, path)?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(known.iter().cloned());
    let algorithms = provider.signature_verification_algorithms;
    Ok(Arc::new(Trust { algorithms, checked: Some(Checked { roots, known }) }))
}

#[derive(Debug)]
struct Trust {
    algorithms: WebPkiSupportedAlgorithms,
    checked: Option<Checked>,
}

#[derive(Debug)]
struct Checked {
    /// What can be an authority; none in a file of old certificates, of which a server's own is still known.
    roots: RootCertStore,
    known: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.checked {
            None => Ok(ServerCertVerified::assertion()),
            Some(Checked { known, .. }) if known.contains(end_entity) => {
                verify_known(end_entity, server_name, now)
            }
            Some(Checked { roots, .. }) if roots.is_empty() => Err(CertificateError::UnknownIssuer.into()),
            Some(Checked { roots, .. }) => {
                let cert = ParsedCertificate::try_from(end_entity)?;
                let algorithms = self.algorithms.all;
                verify_server_cert_signed_by_trust_anchor(&cert, roots, intermediates, now, algorithms)?;
                verify_server_name(&cert, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify_signature(message, cert, dss, usize::MAX)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        // RFC 8446 §4.2.3: not in a handshake.
        let is_old = [
            SignatureScheme::RSA_PKCS1_SHA256,
            SignatureScheme::RSA_PKCS1_SHA384,
            SignatureScheme::RSA_PKCS1_SHA512,
        ]
        .contains(&dss.scheme);
        // The first algorithm of a scheme is the one with its own curve, which TLS 1.3 wants.
        self.verify_signature(message, cert, dss, if is_old { 0 } else { 1 })
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl Trust {
    /// Is `message` signed with the key of `cert`? By one of the first `most` algorithms of its scheme.
    fn verify_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
        most: usize,
    ) -> Result<HandshakeSignatureValid, Error> {
        let shown = Certificate::parse(cert).ok_or(CertificateError::BadEncoding)?;
        if shown.algorithm == RSA && shown.key.len() < RSA_2048_LEN {
            return Err(Error::General("its RSA key is shorter than 2048 bits".to_owned()));
        }
        let of_scheme = self.algorithms.mapping.iter().filter(|(scheme, _)| *scheme == dss.scheme);
        let mut algorithms = of_scheme.flat_map(|(_, algorithms)| algorithms.iter().take(most));
        match algorithms.find(|algorithm| algorithm.public_key_alg_id().as_ref() == shown.algorithm) {
            Some(algorithm) => algorithm
                .verify_signature(shown.key, message, dss.signature())
                .map(|()| HandshakeSignatureValid::assertion())
                .map_err(|_| Error::General("handshake not signed with its certificate's key".to_owned())),
            None => Err(Error::General("handshake signed in a way that was not offered".to_owned())),
        }
    }
}

/// One of the file's own certificates, which may be one that only authorities should have (`openssl req
/// -x509` makes such): its name and its dates have to be right, and that is all.
fn verify_known(
    cert: &CertificateDer<'_>,
    name: &ServerName<'_>,
    now: UnixTime,
) -> Result<ServerCertVerified, Error> {
    let shown = Certificate::parse(cert).ok_or(CertificateError::BadEncoding)?;
    let at = |seconds: i64| UnixTime::since_unix_epoch(Duration::from_secs(seconds.max(0) as u64).into());
    let (not_before, not_after) = (at(shown.not_before), at(shown.not_after));
    if now < not_before {
        return Err(CertificateError::NotValidYetContext { time: now, not_before }.into());
    }
    if now > not_after {
        return Err(CertificateError::ExpiredContext { time: now, not_after }.into());
    }
    verify_server_name(&ParsedCertificate::try_from(cert)?, name)?;
    Ok(ServerCertVerified::assertion())
}
