//! Keywords of the root and `global_defs`.

use super::{Context, Keyword};

/// In the order of the reference's manual.
pub(super) const KEYWORDS: &[Keyword] = &[Keyword::block("global_defs", Context::ROOT, 0, 0)];
