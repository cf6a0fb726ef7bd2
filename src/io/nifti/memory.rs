//! Memory for whole files.

use std::ops::{Deref, DerefMut};

use memmap2::MmapMut;

use crate::error::{Error, Result};

/// Bytes of a whole file, zeros at first.
///
/// They lie on large pages where the system offers them: fetching small ones, each at its first
/// touch, would take as long as reading the file.
pub(super) struct FileMemory {
    pages: Option<MmapMut>,
    length: usize,
}

impl FileMemory {
    /// `length` zeros.
    ///
    /// # Errors
    ///
    /// `Value` where the machine has no such memory.
    pub(super) fn zeroed(length: usize) -> Result<Self> {
        if length == 0 {
            return Ok(Self { pages: None, length });
        }
        let pages = MmapMut::map_anon(length).map_err(|_| too_large(length))?;
        // Small pages do as well, only slower.
        #[cfg(target_os = "linux")]
        let _ = pages.advise(memmap2::Advice::HugePage);
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
/// As [`FileMemory::zeroed`].
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
        for length in [0, 1, 5000, 3 << 20] {
            let mut memory = FileMemory::zeroed(length).unwrap();
            assert!(memory.len() == length && memory.iter().all(|&byte| byte == 0));
            memory.fill(7);
            memory.truncate(100);
            assert_eq!(memory.len(), length.min(100));
        }
        assert!(FileMemory::zeroed(usize::MAX).is_err() && zeroed::<f32>(usize::MAX).is_err());
    }
}
