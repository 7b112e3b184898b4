//! The types of std that the inbox is made of, behind names of our own. With `--cfg loom` they are loom's, so that a user's model of threads that reach a
//! loop can have the real inbox in it; the models of this crate compile the inbox a second time, without a special build.

#[cfg(not(loom))]
pub(crate) use core::sync::atomic::{AtomicBool, Ordering};
#[cfg(not(loom))]
pub(crate) use std::sync::{Arc, Mutex};

#[cfg(loom)]
pub(crate) use loom::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};
