//! Keywords of LVS: virtual servers, their groups, real servers and checkers.

use super::{Context, Keyword};

/// In the order of the reference's manual.
pub(super) const KEYWORDS: &[Keyword] = &[Keyword::block("global_defs", Context::ROOT, 0, 0)];
