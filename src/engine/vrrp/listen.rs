//! The socket of the instance's interface: held while the interface is there, tried again where it was
//! refused.

use super::Instance;
use crate::engine::{Action, Actions, Ctx};
use crate::model::Text;
use crate::time::{Duration, Instant};

/// From a refusal to the next try.
const RETRY_DELAY: Duration = Duration::from_secs(2);
/// A refusal comes at once; so long after a try it has not been refused.
const TRY_TIMEOUT: Duration = Duration::from_millis(10);

/// The socket was refused. It is a matter of the interface, whatever the state: without an ear a Backup
/// would become a second Active.
#[derive(Debug)]
pub(super) struct Deaf {
    pub(super) why: Text,
    pub(super) retry_at: Instant,
    /// A try is under way: at `retry_at` it has succeeded.
    is_tried: bool,
}

impl Instance {
    /// Asks for the socket and the group; done twice, it is no harm.
    pub(super) fn listen(&self, actions: &mut Actions) {
        self.ears().for_each(|ear| actions.push(Action::Listen(ear)));
    }

    /// The socket of the interface cannot be opened.
    pub(in crate::engine) fn handle_deaf(&mut self, now: Instant, why: &Text, cx: &mut Ctx<'_>) {
        // During a delay at the start it is as deaf as later.
        if self.has_left {
            return;
        }
        self.deaf = Some(Deaf { why: why.clone(), retry_at: now + RETRY_DELAY, is_tried: false });
        self.evaluate(now, cx);
    }

    /// Tries the socket again; only where that was not refused does the instance take part.
    pub(super) fn retry_listen(&mut self, now: Instant, cx: &mut Ctx<'_>) {
        match &mut self.deaf {
            Some(deaf) if deaf.retry_at > now => {}
            Some(deaf) if !deaf.is_tried => {
                (deaf.is_tried, deaf.retry_at) = (true, now + TRY_TIMEOUT);
                self.listen(cx.actions);
            }
            Some(_) => {
                self.deaf = None;
                self.evaluate(now, cx);
            }
            None => {}
        }
    }
}
