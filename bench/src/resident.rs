//! How much memory a process has.

use std::fs;
use std::io;

/// Resident bytes of a process.
pub(crate) fn resident(pid: u32) -> io::Result<usize> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let kib = rollup.lines().find_map(|line| line.strip_prefix("Rss:")?.trim().strip_suffix("kB")?.trim().parse::<usize>().ok());
    kib.map(|kib| kib * 1024).ok_or_else(|| io::Error::other("no resident set in smaps_rollup"))
}
