//! From a path to header bytes and voxel bytes.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::gzip::{self, MAX_RATIO};
use super::header::Header;
use super::memory::{self, FileMemory};
use super::raw::{EXTENDER_BYTES, Layout, RawHeader};
use super::{Datatype, Endianness, ReadLimits, Version};
use crate::error::{Error, ErrorKind, Result};
use crate::io::atomic;

/// For files that are never held as a whole.
pub(super) const UNLIMITED: ReadLimits = ReadLimits { max_bytes: u64::MAX };

/// Bytes that hold either header and its extender.
const LONGEST_HEADER: u64 = 544;

/// The files of one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Location {
    /// Where the header is.
    pub(super) header: PathBuf,
    /// Where the voxels are; the same file unless it is a pair.
    pub(super) voxels: PathBuf,
}

impl Location {
    /// The pair that `path` belongs to where it ends in `.hdr` or `.img`, else the file itself.
    pub(super) fn of(path: &Path) -> Result<Self> {
        fs::metadata(path).map_err(|error| Error::from_io(ErrorKind::Format, path, &error))?;
        let Some((stem, extension, suffix)) = pair_name(path) else {
            return Ok(Self { header: path.into(), voxels: path.into() });
        };
        let (other, is_header) = if extension == "hdr" { ("img", true) } else { ("hdr", false) };
        let other_suffix = if suffix.is_empty() { ".gz" } else { "" };
        let candidates = [suffix, other_suffix]
            .map(|suffix| path.with_file_name(format!("{stem}.{other}{suffix}")));
        let found = candidates.iter().find(|candidate| candidate.is_file());
        let Some(sibling) = found else {
            let [first, second] = candidates.map(|c| c.display().to_string());
            return Err(Error::new(
                ErrorKind::Missing,
                format!("neither {first} nor {second} is there"),
            )
            .at_path(path)
            .hint("a NIfTI pair is a .hdr and an .img file of one name in one folder"));
        };
        Ok(if is_header {
            Self { header: path.into(), voxels: sibling.clone() }
        } else {
            Self { header: sibling.clone(), voxels: path.into() }
        })
    }

    fn is_pair(&self) -> bool {
        self.header != self.voxels
    }
}

/// Stem, `hdr` or `img`, and `.gz` or nothing.
fn pair_name(path: &Path) -> Option<(String, &'static str, &'static str)> {
    let name = path.file_name()?.to_str()?;
    let (name, suffix) = match name.strip_suffix(".gz") {
        Some(name) => (name, ".gz"),
        None => (name, ""),
    };
    let stem = |extension| Some((name.strip_suffix(extension)?.to_owned(), suffix));
    stem(".hdr")
        .map(|(stem, suffix)| (stem, "hdr", suffix))
        .or_else(|| stem(".img").map(|(stem, suffix)| (stem, "img", suffix)))
}

/// Reads and checks the header at `location`, and the size of a plain file of voxels.
pub(super) fn header(location: &Location, limits: ReadLimits) -> Result<Header> {
    let header = header_alone(location, limits).map_err(|e| e.at_path(&location.header))?;
    let (is_gzip, n_bytes) = sniff(&location.voxels, limits)?;
    require_size(&header, is_gzip, n_bytes).map_err(|error| error.at_path(&location.voxels))?;
    Ok(header)
}

fn header_alone(location: &Location, limits: ReadLimits) -> Result<Header> {
    let path = &location.header;
    let (is_gzip, n_bytes) = sniff(path, limits)?;
    if n_bytes == 0 {
        return Err(Error::format("the file is empty").hint("copy or convert it again"));
    }
    if location.is_pair() {
        let bytes = contents(path, is_gzip, limits)?;
        let raw = RawHeader::parse(&bytes)?;
        require_layout(&raw, Layout::Pair)?;
        check_extensions(&bytes, &raw, bytes.len())?;
        return Header::check(raw, limits);
    }
    let file = BufReader::new(open(path)?);
    if is_gzip {
        single_header(gzip::Members::new(file), limits, n_bytes.saturating_mul(MAX_RATIO))
    } else {
        single_header(file, limits, n_bytes)
    }
}

/// Header and extensions from the start of a single file of at most `most_bytes`.
fn single_header(mut file: impl Read, limits: ReadLimits, most_bytes: u64) -> Result<Header> {
    let mut bytes = take(&mut file, LONGEST_HEADER)?;
    let raw = RawHeader::parse(&bytes)?;
    require_layout(&raw, Layout::Single)?;
    let header = Header::check(raw, limits)?;
    let start = header.voxels_start();
    let has_extensions = bytes.get(header.version().header_bytes()).is_some_and(|&flag| flag != 0);
    let longest = limits.max_bytes.min(ReadLimits::default().max_bytes);
    if has_extensions && start <= most_bytes.min(longest) {
        bytes.extend(take(&mut file, start.saturating_sub(bytes.len() as u64))?);
        check_extensions(&bytes, &header.raw, start as usize)?;
    }
    Ok(header)
}

/// Up to `length` bytes; fewer at the end of the file.
fn take(file: &mut impl Read, length: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes).map_err(|error| gzip::broken(&error))?;
    Ok(bytes)
}

/// The bytes of a file of voxels.
pub(super) struct VoxelBytes {
    bytes: FileMemory,
    place: Range<usize>,
    /// How many bytes follow the voxels.
    pub(super) n_trailing: u64,
}

impl VoxelBytes {
    /// The stored voxels alone.
    pub(super) fn voxels(&self) -> &[u8] {
        self.bytes.get(self.place.clone()).unwrap_or_default()
    }
}

/// Reads the voxels that `header` describes; a gzip stream is checked to its end.
pub(super) fn voxels(
    location: &Location,
    header: &Header,
    limits: ReadLimits,
) -> Result<VoxelBytes> {
    let (start, n_bytes) = (header.voxels_start() as usize, header.voxel_bytes() as usize);
    if is_gzip(location, header, limits)? {
        let mut bytes = FileMemory::kept(start + n_bytes)?;
        let n_trailing = inflate(location, &mut bytes, limits)?;
        return Ok(VoxelBytes { bytes, place: start..start + n_bytes, n_trailing });
    }
    let mut bytes = FileMemory::kept(n_bytes)?;
    let n_trailing = read_plain(location, header, &mut bytes)?;
    Ok(VoxelBytes { bytes, place: 0..n_bytes, n_trailing })
}

/// As [`voxels`] for voxels that are numbers of this machine as they are stored, and how many bytes
/// follow them; none where they are not.
pub(super) fn singles(
    location: &Location,
    header: &Header,
    limits: ReadLimits,
) -> Result<Option<(Vec<f32>, u64)>> {
    const WIDTH: usize = size_of::<f32>();
    let native = if cfg!(target_endian = "little") { Endianness::Little } else { Endianness::Big };
    if header.datatype() != Datatype::Float32 || header.byte_order() != native {
        return Ok(None);
    }
    let (start, n_bytes) = (header.voxels_start() as usize, header.voxel_bytes() as usize);
    if !is_gzip(location, header, limits)? {
        let mut values = memory::zeroed::<f32>(n_bytes / WIDTH)?;
        let n_trailing = read_plain(location, header, bytemuck::cast_slice_mut(&mut values))?;
        return Ok(Some((values, n_trailing)));
    }
    // What comes before the voxels is inflated in front of them, and taken away.
    let n_before = start.div_ceil(WIDTH);
    let mut values = memory::zeroed::<f32>(n_before + n_bytes / WIDTH)?;
    let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut values);
    let n_trailing = inflate(location, &mut bytes[WIDTH * n_before - start..], limits)?;
    values.drain(..n_before);
    Ok(Some((values, n_trailing)))
}

/// Whether the file of voxels is gzipped; passes when it can hold them.
fn is_gzip(location: &Location, header: &Header, limits: ReadLimits) -> Result<bool> {
    let (is_gzip, n_bytes) = sniff(&location.voxels, limits)?;
    require_size(header, is_gzip, n_bytes).map_err(|error| error.at_path(&location.voxels))?;
    Ok(is_gzip)
}

/// Fills `bytes` from the start of a gzip stream and gives how many follow.
fn inflate(location: &Location, bytes: &mut [u8], limits: ReadLimits) -> Result<u64> {
    let stored = read(&location.voxels, limits)?;
    gzip::inflate(&stored, bytes, limits.max_bytes).map_err(|error| error.at_path(&location.voxels))
}

/// Fills `bytes` with the voxels of a plain file and gives how many bytes follow.
fn read_plain(location: &Location, header: &Header, bytes: &mut [u8]) -> Result<u64> {
    let path = &location.voxels;
    let failed = |error: std::io::Error| Error::from_io(ErrorKind::Format, path, &error);
    let file = open(path)?;
    let length = file.metadata().map_err(failed)?.len();
    let start = header.voxels_start();
    let n_trailing = length.checked_sub(start + bytes.len() as u64);
    let n_trailing = n_trailing.ok_or_else(|| too_short(header, length).at_path(path))?;
    read_at(&file, start, bytes).map_err(failed)?;
    Ok(n_trailing)
}

/// A plain file of voxels, to be read where it lies, or the bytes that a gzip stream holds.
pub(super) enum Place {
    /// All of them.
    Memory(VoxelBytes),
    /// In a file from this byte on.
    Disk(File, u64),
}

/// Finds the voxels that `header` describes, with the number of bytes behind them.
///
/// A gzip stream is checked to its end. What it holds is kept in memory where stream and voxels fit
/// into `memory` bytes, else in a file without a name in `folder`.
pub(super) fn place(
    location: &Location,
    header: &Header,
    memory: u64,
    folder: &Path,
) -> Result<(Place, u64)> {
    let path = &location.voxels;
    let (is_gzip, n_bytes) = sniff(path, UNLIMITED)?;
    require_size(header, is_gzip, n_bytes).map_err(|error| error.at_path(path))?;
    let (start, end) =
        (header.voxels_start(), header.voxels_start().saturating_add(header.voxel_bytes()));
    if !is_gzip {
        return Ok((Place::Disk(open(path)?, start), n_bytes - end));
    }
    if end.saturating_add(n_bytes) <= memory {
        let bytes = voxels(location, header, ReadLimits { max_bytes: memory })?;
        let n_trailing = bytes.n_trailing;
        return Ok((Place::Memory(bytes), n_trailing));
    }
    let mut spooled = atomic::unnamed(folder)?;
    let stream = gzip::Members::new(BufReader::with_capacity(1 << 18, open(path)?));
    let n_trailing =
        spool(stream, start..end, memory, &mut spooled).map_err(|error| error.at_path(path))?;
    Ok((Place::Disk(spooled, 0), n_trailing))
}

/// Copies the bytes in `place` of `stream` into `file`, reads the rest, and says how long that is.
fn spool(
    mut stream: impl Read,
    place: Range<u64>,
    most_trailing: u64,
    file: &mut File,
) -> Result<u64> {
    let mut buffer = vec![0; 1 << 18];
    let mut total = 0_u64;
    loop {
        let n = stream.read(&mut buffer).map_err(|error| gzip::broken(&error))?;
        if n == 0 {
            break;
        }
        let within = |byte: u64| byte.clamp(total, total + n as u64) - total;
        let kept = within(place.start) as usize..within(place.end) as usize;
        file.write_all(&buffer[kept]).map_err(|error| {
            Error::new(ErrorKind::Write, format!("the inflated series: {error}"))
                .hint("it is kept beside the output: make room there, or raise `--max-memory`")
        })?;
        total += n as u64;
        if total.saturating_sub(place.end) > most_trailing {
            return Err(gzip::over_limit(place.end + most_trailing));
        }
    }
    total.checked_sub(place.end).ok_or_else(|| gzip::too_short(total, place.end))
}

/// Reads exactly `bytes` of `file` from `start` on, without moving any cursor.
#[cfg(unix)]
pub(super) fn read_at(file: &File, start: u64, bytes: &mut [u8]) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, start)
}

#[cfg(windows)]
pub(super) fn read_at(file: &File, mut start: u64, mut bytes: &mut [u8]) -> std::io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, bytes, start)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            n => {
                start += n as u64;
                bytes = &mut bytes[n..];
            }
        }
    }
    Ok(())
}

/// Passes when a file of `n_bytes` can hold what `header` needs.
fn require_size(header: &Header, is_gzip: bool, n_bytes: u64) -> Result<()> {
    let most = if is_gzip { n_bytes.saturating_mul(MAX_RATIO) } else { n_bytes };
    match header.voxels_start().checked_add(header.voxel_bytes()) {
        Some(needed) if needed <= most => Ok(()),
        _ if is_gzip => Err(Error::format(format!(
            "{n_bytes} gzipped bytes cannot hold the {} bytes of voxels from byte {} on",
            header.voxel_bytes(),
            header.voxels_start()
        ))
        .at_field("dim")
        .hint("the header is damaged or the file is truncated; copy it again")),
        _ => Err(too_short(header, n_bytes)),
    }
}

fn too_short(header: &Header, n_bytes: u64) -> Error {
    Error::format(format!(
        "the file holds {n_bytes} bytes, but {:?} voxels × {} volumes of {} from byte {} on need \
         {} more",
        header.shape(),
        header.n_volumes(),
        header.datatype().name(),
        header.voxels_start(),
        (header.voxels_start().saturating_add(header.voxel_bytes())).saturating_sub(n_bytes)
    ))
    .at_field("dim")
    .hint("the file is truncated or `dim` or `vox_offset` is wrong; copy it again")
}

fn require_layout(raw: &RawHeader, expected: Layout) -> Result<()> {
    if raw.layout == expected {
        return Ok(());
    }
    let (message, hint) = match expected {
        Layout::Single => {
            ("says that the voxels are in another file", "name the pair .hdr and .img")
        }
        Layout::Pair => ("says that header and voxels are one file", "name the file .nii"),
    };
    Err(Error::format(message).at_field("magic").hint(hint))
}

/// Follows the chain of extensions up to `end`; their contents are skipped.
fn check_extensions(bytes: &[u8], raw: &RawHeader, end: usize) -> Result<()> {
    let mut place = match raw.version {
        Version::Nifti1 => 348,
        Version::Nifti2 => 540,
    };
    if bytes.get(place).is_none_or(|&flag| flag == 0) {
        return Ok(());
    }
    place += EXTENDER_BYTES;
    let region = bytes.get(..end).ok_or_else(|| {
        Error::format(format!("{} bytes end before the voxels at {end}", bytes.len()))
            .at_field("vox_offset")
            .hint("the file is truncated; copy it again")
    })?;
    while let Some(size) = region.get(place..).and_then(|rest| rest.first_chunk::<4>()) {
        let size = match raw.order {
            Endianness::Little => i32::from_le_bytes(*size),
            Endianness::Big => i32::from_be_bytes(*size),
        };
        let room = region.len() - place;
        place += match usize::try_from(size) {
            Ok(n) if n >= 16 && n % 16 == 0 && n <= room => n,
            _ => {
                let message = format!(
                    "{size} is not a multiple of 16 from 16 to the {room} bytes before the voxels"
                );
                return Err(Error::format(message)
                    .at_field("extension.esize")
                    .hint("the header extensions are damaged; write the file again without them"));
            }
        };
    }
    Ok(())
}

/// All bytes of a header file, inflated where it is gzipped.
fn contents(path: &Path, is_gzip: bool, limits: ReadLimits) -> Result<Vec<u8>> {
    let bytes = read(path, limits)?;
    if is_gzip { gzip::inflate_all(&bytes, limits.max_bytes) } else { Ok(bytes.to_vec()) }
}

/// Whether the file is gzipped, and its size.
fn sniff(path: &Path, limits: ReadLimits) -> Result<(bool, u64)> {
    let failed = |error: std::io::Error| Error::from_io(ErrorKind::Format, path, &error);
    let metadata = fs::metadata(path).map_err(failed)?;
    if !metadata.is_file() {
        let kind = if metadata.is_dir() { "a folder" } else { "no regular file" };
        return Err(Error::format(format!("{kind}, not a NIfTI file"))
            .at_path(path)
            .hint("name the .nii or .nii.gz file itself"));
    }
    if metadata.len() > limits.max_bytes {
        return Err(Error::value(format!(
            "the file holds {} bytes, more than the limit of {}",
            metadata.len(),
            limits.max_bytes
        ))
        .at_path(path)
        .hint("raise `--max-memory` when the file is meant to be that large"));
    }
    let mut file = BufReader::with_capacity(16, open(path)?);
    let start = file.fill_buf().map_err(failed)?;
    Ok((start.starts_with(&gzip::MAGIC), metadata.len()))
}

fn read(path: &Path, limits: ReadLimits) -> Result<FileMemory> {
    let failed = |error: std::io::Error| Error::from_io(ErrorKind::Format, path, &error);
    let mut file = open(path)?;
    let length = file.metadata().map_err(failed)?.len().min(limits.max_bytes);
    let length = usize::try_from(length)
        .map_err(|_| Error::value(format!("{length} bytes do not fit into memory")))?;
    let mut bytes = FileMemory::passing(length)?;
    let mut filled = 0;
    while filled < length {
        match file.read(&mut bytes[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

fn open(path: &Path) -> Result<File> {
    File::open(path).map_err(|error| Error::from_io(ErrorKind::Format, path, &error))
}
