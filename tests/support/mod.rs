//! What several tests share.

#[cfg(target_os = "linux")]
pub(crate) mod secret_service;
