//! Memory for whole files.

use std::ops::{Deref, DerefMut};

use memmap2::MmapMut;

use crate::error::{Error, Result};

/// Bytes that are kept on large pages at most: a system has few of them ready, and making new ones
/// takes longer than small ones do.
const MOST_KEPT: usize = 64 << 20;

/// Bytes of a whole file, zeros at first.
///
/// They lie on large pages where the system offers them: fetching small ones, each at its first
/// touch, would take as long as reading the file.
pub(super) struct FileMemory {
    pages: Option<MmapMut>,
    length: usize,
}

impl FileMemory {
    /// `length` zeros for what is soon done with.
    ///
    /// # Errors
    ///
    /// `Value` where the machine has no such memory.
    pub(super) fn passing(length: usize) -> Result<Self> {
        let memory = Self::on_small_pages(length)?;
        #[cfg(target_os = "linux")]
        if let Some(pages) = &memory.pages {
            // Small pages do as well, only slower.
            let _ = pages.advise(memmap2::Advice::HugePage);
        }
        Ok(memory)
    }

    /// `length` zeros for what stays.
    ///
    /// # Errors
    ///
    /// As [`FileMemory::passing`].
    pub(super) fn kept(length: usize) -> Result<Self> {
        if length > MOST_KEPT { Self::on_small_pages(length) } else { Self::passing(length) }
    }

    fn on_small_pages(length: usize) -> Result<Self> {
        if length == 0 {
            return Ok(Self { pages: None, length });
        }
        let pages = MmapMut::map_anon(length).map_err(|_| too_large(length))?;
        Ok(Self { pages: Some(pages), length })
    }

    /// Keeps the first `length` bytes.
    pub(super) fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
    }
}

impl Deref for FileMemory {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.pages.as_deref().map_or(&[], |pages| &pages[..self.length])
    }
}

impl DerefMut for FileMemory {
    fn deref_mut(&mut self) -> &mut [u8] {
        let length = self.length;
        self.pages.as_deref_mut().map_or(&mut [], |pages| &mut pages[..length])
    }
}

/// `length` zeros in a vector.
///
/// # Errors
///
/// As [`FileMemory::passing`].
pub(super) fn zeroed<T: Copy + Default>(length: usize) -> Result<Vec<T>> {
    let mut values = Vec::<T>::new();
    values
        .try_reserve_exact(length)
        .map_err(|_| too_large(length.saturating_mul(size_of::<T>())))?;
    // The system hands out zeros; filling them in would touch every page once more.
    drop(values);
    Ok(vec![T::default(); length])
}

fn too_large(n_bytes: usize) -> Error {
    Error::value(format!("{n_bytes} bytes do not fit into the memory of this machine"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_zero_and_ends_where_it_is_cut() {
        for length in [0, 1, 5000, 3 << 20, MOST_KEPT + 1] {
            for make in [FileMemory::passing, FileMemory::kept] {
                let mut memory = make(length).unwrap();
                assert!(memory.len() == length && memory.iter().all(|&byte| byte == 0));
                memory.fill(7);
                memory.truncate(100);
                assert_eq!(memory.len(), length.min(100));
            }
        }
        assert!(FileMemory::kept(usize::MAX).is_err() && zeroed::<f32>(usize::MAX).is_err());
    }
}
