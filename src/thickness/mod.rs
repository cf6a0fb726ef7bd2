//! Cartilage thickness from label maps.
