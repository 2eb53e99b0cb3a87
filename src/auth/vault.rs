//! Where a session's tokens are kept, and how only one process at a time renews them.
//!
//! Two kinds: a token store of this machine with a lock file ([`super::local_vault`]), and a database that machines share
//! (`crate::shared_state`).

use std::pin::Pin;

use super::token::Credential;
use crate::error::Result;

/// An answer that is waited for.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Keeps the tokens of one profile.
///
/// Whoever renews calls [`Vault::lock`], then [`Vault::load`] (somebody else may have renewed), then
/// [`Vault::begin_renewal`]; asks the server; and calls [`Renewal::store`] before anything uses the answer.
pub trait Vault: Send + Sync {
    /// Waits until no other process of this machine renews; others wait until what is given back is dropped.
    fn lock(&self) -> Answer<'_, Result<Box<dyn Send>>>;

    /// The tokens as they are stored now.
    fn load(&self) -> Answer<'_, Result<Credential>>;

    /// Makes ready to replace `present`. It fails where the answer could not be stored.
    fn begin_renewal<'a>(&'a self, present: &'a Credential) -> Answer<'a, Result<Begun>>;

    /// Waits for a log-in that is under way and has ended this one. `waiting` is called where there is one.
    fn wait_for_log_in<'a>(&'a self, waiting: &'a (dyn Fn() + Sync)) -> Answer<'a, ()>;
}

/// Whether a renewal may be asked for.
pub enum Begun {
    /// It may.
    Yes(Box<dyn Renewal>),
    /// Another process has renewed in the meantime: load its tokens.
    Elsewhere,
}

/// A renewal that is under way. Dropped without [`Renewal::store`] or [`Renewal::forget`], it leaves a note that the answer
/// may be lost.
pub trait Renewal: Send {
    /// Whether the answer to an earlier renewal of these tokens may be lost.
    fn after_a_loss(&self) -> bool;

    /// Stores the new tokens: they survive the end of this process when it says so. It goes on trying for a while, since
    /// the answer exists only once.
    fn store<'a>(&'a mut self, renewed: &'a Credential) -> Answer<'a, Result<()>>;

    /// The server has not spent the refresh token, or what became of it is known.
    fn forget(self: Box<Self>) -> Answer<'static, ()>;
}
