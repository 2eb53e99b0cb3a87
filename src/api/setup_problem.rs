//! Failures below HTTP that a retry does not fix: a person has to change the setup.

use std::{error::Error as StdError, io};

use rustls::CertificateError;

use crate::error::{Error, ErrorKind, sanitized};

/// What is not set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetupProblem {
    /// The server's certificate comes from an authority that this machine does not trust.
    UntrustedAuthority,
    /// The certificate belongs to another host.
    OtherHost,
    /// The certificate is not valid at the time on this machine's clock.
    OutOfDate,
    /// The certificate is refused for another reason.
    Certificate(String),
    /// The proxy requires a name and a password (407).
    ProxyCredentials,
}

impl SetupProblem {
    /// What is not set up, if that is why a request failed.
    #[must_use]
    pub fn of(cause: &reqwest::Error) -> Option<Self> {
        let mut next: Option<&(dyn StdError + 'static)> = cause.source();
        while let Some(error) = next {
            if let Some(found) = Self::read(error) {
                return Some(found);
            }
            // `source` of an I/O error skips the error that it wraps, so the wrapped error is checked first.
            let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            next = inner.map(|inner| inner as &(dyn StdError + 'static)).or_else(|| error.source());
        }
        None
    }

    fn read(error: &(dyn StdError + 'static)) -> Option<Self> {
        // The HTTP library does not export the type of this error, so its text is all there is.
        if error.to_string().ends_with("proxy authorization required") {
            return Some(Self::ProxyCredentials);
        }
        let Some(rustls::Error::InvalidCertificate(refusal)) = error.downcast_ref::<rustls::Error>() else {
            return None;
        };
        Some(match refusal {
            CertificateError::UnknownIssuer => Self::UntrustedAuthority,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Self::OtherHost,
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => Self::OutOfDate,
            other => Self::Certificate(sanitized(&other.to_string())),
        })
    }

    /// The error for a person.
    #[must_use]
    pub fn into_error(self) -> Error {
        let (kind, message, hint) = match self {
            Self::UntrustedAuthority => (
                ErrorKind::Certificate,
                "the server's certificate is not trusted: this machine does not know the authority that signed it"
                    .to_owned(),
                "If a proxy or antivirus program intercepts TLS here, pass a file with its certificate (PEM): --ca-cert FILE, or BBDL_CA_CERT. Otherwise somebody may be in between: do not go on.",
            ),
            Self::OtherHost => (
                ErrorKind::Certificate,
                "the server's certificate is not trusted: it is for another host".to_owned(),
                "Check the server's address. If it is right, somebody else is answering: stop here.",
            ),
            Self::OutOfDate => (
                ErrorKind::Certificate,
                "the server's certificate is not trusted: by this machine's clock, it is not valid now".to_owned(),
                "Check this machine's date and time. Where they are right, the certificate is out of date: name the \
                 file with the right authority (--ca-cert FILE), or tell the server's operators.",
            ),
            Self::Certificate(why) => (
                ErrorKind::Certificate,
                format!("the server's certificate is not trusted ({why})"),
                "If a proxy or antivirus program intercepts TLS here, pass a file with its certificate (PEM): --ca-cert FILE, or BBDL_CA_CERT.",
            ),
            Self::ProxyCredentials => (
                ErrorKind::Proxy,
                "the proxy wants a name and a password (407)".to_owned(),
                "Give them in the proxy's address, as in HTTPS_PROXY=http://NAME:PASSWORD@proxy.example.org:3128, or \
                 name this server in NO_PROXY.",
            ),
        };
        Error::new(kind, message).hint(hint)
    }
}
