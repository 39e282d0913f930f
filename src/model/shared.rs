//! Something large that several hold: the configuration, those who live by it, and the configuration that
//! follows, as far as it says the same.

use core::fmt;
use core::ops::{Deref, DerefMut};
use std::rc::Rc;

/// A value that is shared as long as nobody changes it: a clone costs nothing, and the first change through
/// one of several holders makes that one a copy of its own.
#[derive(Clone)]
pub struct Shared<T>(Rc<T>);

impl<T> Shared<T> {
    /// Are these one and the same, without a look at what they hold?
    pub fn is(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

impl<T> From<T> for Shared<T> {
    fn from(value: T) -> Self {
        Shared(Rc::new(value))
    }
}

impl<T: Default> Default for Shared<T> {
    fn default() -> Self {
        T::default().into()
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Clone> DerefMut for Shared<T> {
    fn deref_mut(&mut self) -> &mut T {
        Rc::make_mut(&mut self.0)
    }
}

/// What is one and the same is equal, at no cost.
impl<T: Eq> PartialEq for Shared<T> {
    fn eq(&self, other: &Self) -> bool {
        self.is(other) || *self.0 == *other.0
    }
}

impl<T: Eq> Eq for Shared<T> {}

impl<T: fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_nobody_elses() {
        let first = Shared::from(vec![1, 2]);
        let mut second = first.clone();
        assert!(first.is(&second) && first == second);
        second.push(3);
        assert_eq!((&*first, &*second), (&vec![1, 2], &vec![1, 2, 3]));
        let own = second.as_ptr();
        second[0] = 9;
        assert_eq!(second.as_ptr(), own, "who is alone needs no other copy");
        assert!(first == Shared::from(vec![1, 2]) && !first.is(&Shared::from(vec![1, 2])));
    }
}
