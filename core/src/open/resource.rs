//! What the core carries without knowing it.

use alloc::boxed::Box;
use core::any::Any;
use core::fmt;

/// Something of the backend's that the core only carries: a descriptor on its way in, a visitor of a socket on its way to it.
///
/// It is moved in and dropped exactly once, on every path (contract RUST-11).
pub struct Resource(Box<dyn Any>);

impl Resource {
    /// Carries `thing`.
    #[must_use]
    pub fn new(thing: impl Any) -> Self {
        Self(Box::new(thing))
    }

    /// The thing, if it is a `T`.
    ///
    /// # Errors
    /// The resource itself, if it carries something else.
    pub fn downcast<T: Any>(self) -> Result<T, Self> {
        self.0.downcast().map(|thing| *thing).map_err(Self)
    }

    /// The thing, left where it is, if it is a `T`.
    pub fn get_mut<T: Any>(&mut self) -> Option<&mut T> {
        self.0.downcast_mut()
    }
}

impl fmt::Debug for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resource")
    }
}
