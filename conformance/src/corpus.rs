//! The inputs that fuzzers found worth keeping, one text file a target: each line is an input in hexadecimal digits.
//!
//! `plimsoll-conformance corpus unpack NAME FOLDER` writes them as the files that a fuzzer reads; `pack NAME FOLDER` takes such files back, the shortest first
//! and no more than [`MOST`] of them in [`BYTES`]; `fuzz/grow.sh` does both around a fuzzer's run.

use crate::targets;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// How many inputs of one target are kept.
pub const MOST: usize = 500;
/// How many bytes they have together.
pub const BYTES: usize = 100 * 1024;

/// How the command is used.
pub const USAGE: &str = "usage: plimsoll-conformance corpus pack|unpack NAME FOLDER
       plimsoll-conformance corpus list";

/// Where a target's inputs are kept.
#[must_use]
pub fn path_of(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(name).with_extension("hex")
}

/// A target's inputs.
///
/// # Errors
/// If the file is not there, or has a line that is no input.
pub fn read(name: &str) -> io::Result<Vec<Vec<u8>>> {
    fs::read_to_string(path_of(name))?
        .lines()
        .map(|line| from_hex(line).ok_or_else(|| io::Error::other(line.to_owned())))
        .collect()
}

/// Runs the command; the arguments are those behind `corpus`.
///
/// # Errors
/// What is wrong with the arguments or the files.
pub fn run(mut args: impl Iterator<Item = String>) -> Result<bool, String> {
    let verb = args.next().ok_or(USAGE)?;
    if verb == "list" {
        targets::ALL.iter().for_each(|target| println!("{:<22} {}", target.name, target.about));
        return Ok(true);
    }
    let (Some(name), Some(folder), None) = (args.next(), args.next(), args.next()) else { return Err(USAGE.into()) };
    if targets::named(&name).is_none() {
        return Err(format!("there is no target `{name}`; `corpus list` names them"));
    }
    let folder = Path::new(&folder);
    let done = match verb.as_str() {
        "unpack" => unpack(&name, folder),
        "pack" => pack(&name, folder),
        _ => return Err(USAGE.into()),
    };
    let (count, bytes) = done.map_err(|error| format!("{name}: {error}"))?;
    println!("{name}: {count} inputs, {bytes} bytes");
    Ok(true)
}

fn unpack(name: &str, folder: &Path) -> io::Result<(usize, usize)> {
    fs::create_dir_all(folder)?;
    let inputs = if path_of(name).exists() { read(name)? } else { Vec::new() };
    for (number, input) in inputs.iter().enumerate() {
        fs::write(folder.join(format!("kept-{number:04}")), input)?;
    }
    Ok((inputs.len(), inputs.iter().map(Vec::len).sum()))
}

fn pack(name: &str, folder: &Path) -> io::Result<(usize, usize)> {
    let mut inputs = fs::read_dir(folder)?.map(|entry| fs::read(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    inputs.sort_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
    inputs.dedup();
    let mut bytes = 0;
    inputs.truncate(MOST);
    inputs.retain(|input| {
        bytes += input.len();
        bytes <= BYTES
    });
    let mut text: String = inputs.iter().map(|input| to_hex(input)).collect::<Vec<_>>().join("\n");
    text.push('\n');
    fs::write(path_of(name), text)?;
    Ok((inputs.len(), inputs.iter().map(Vec::len).sum()))
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(line: &str) -> Option<Vec<u8>> {
    let digits = line.as_bytes().chunks(2);
    digits
        .map(|pair| {
            core::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2).and_then(|pair| u8::from_str_radix(pair, 16).ok())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_digits_come_back_as_the_bytes_they_were() {
        for bytes in [&[][..], &[0], &[1, 0xfe, 0x7f]] {
            assert_eq!(from_hex(&to_hex(bytes)).as_deref(), Some(bytes));
        }
        assert_eq!(from_hex("0"), None);
        assert_eq!(from_hex("zz"), None);
        assert_eq!(from_hex("é0"), None);
    }
}
