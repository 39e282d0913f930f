//! Why something is down. Mostly it is not, and then that costs a pointer for each of thousands.

use crate::model::Reason;
use core::ops::Deref;

/// A reason, or none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Why(Option<Box<Reason>>);

impl Why {
    /// Takes a reason; the empty one is none. True: it is another one than before.
    pub(super) fn set(&mut self, reason: &Reason) -> bool {
        let is_other = **self != **reason;
        if is_other {
            self.0 = (!reason.is_empty()).then(|| Box::new(reason.clone()));
        }
        is_other
    }

    /// The reason; empty for none.
    pub(super) fn get(&self) -> Reason {
        self.0.as_deref().cloned().unwrap_or_default()
    }
}

impl Deref for Why {
    type Target = str;

    fn deref(&self) -> &str {
        self.0.as_deref().map_or("", |reason| reason.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::cut;

    #[test]
    fn an_empty_reason_is_none() {
        let mut why = Why::default();
        assert!(!why.set(&Reason::new()), "as it was");
        assert!(why.set(&cut(format_args!("refused"))) && !why.set(&cut(format_args!("refused"))));
        assert_eq!((&*why, why.get().as_str()), ("refused", "refused"));
        assert!(why.set(&Reason::new()) && why.is_empty());
        assert_eq!(why, Why::default());
    }
}
