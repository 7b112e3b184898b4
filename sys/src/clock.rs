//! The loop's clock.

use plimsoll_core::Instant;

/// The monotonic clock of the system, which no one can set (contract RUST-12); its epoch is the making of the loop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(std::time::Instant);

impl Clock {
    pub(crate) fn new() -> Self {
        Self(std::time::Instant::now())
    }

    #[inline]
    pub(crate) fn now(self) -> Instant {
        let time = self.0.elapsed();
        Instant::from_nanos(time.as_secs() * 1_000_000_000 + u64::from(time.subsec_nanos()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    #[test]
    fn it_advances_as_std_says() {
        //= RUST-12
        let reference = std::time::Instant::now();
        let clock = Clock::new();
        let start = clock.now();
        std::thread::sleep(Duration::from_millis(5));
        let elapsed = clock.now().saturating_since(start);
        assert!(elapsed >= Duration::from_millis(5));
        assert!(elapsed <= reference.elapsed());
    }
}
