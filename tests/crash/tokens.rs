//! Renewals killed at any moment.
