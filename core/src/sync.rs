//! The types of std that the inbox is made of, behind names of our own: the loom models compile it over loom's.

pub(crate) use core::sync::atomic::{AtomicBool, Ordering};
pub(crate) use std::sync::{Arc, Mutex};
