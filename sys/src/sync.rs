//! The types of std that the threads of the resolver are made of, behind names of our own: a test compiles the resolver a second time over loom's.

pub(crate) use std::sync::{Arc, Condvar, Mutex, MutexGuard};
pub(crate) use std::thread;
