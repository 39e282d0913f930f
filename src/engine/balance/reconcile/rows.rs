//! The rows: who is wanted, under which keys, with which destinations.

use super::{Family, Reconciler};
use crate::engine::balance::destination::{Params, Wants, place};
use crate::engine::balance::table::{Knowledge, Row};
use crate::model::{Method, Name};
use crate::time::Instant;
use crate::wire::ipvs::{Service, ServiceKey};
use std::net::SocketAddr;

impl Reconciler {
    /// Another configuration follows: `want` for all that it has, then `end_round`.
    pub(in crate::engine::balance) fn begin_round(&mut self) {
        self.round = self.round.wrapping_add(1);
    }

    /// Wants a service under one of its keys; the number of the row. Whoever had the row before hands it
    /// over: nothing is deleted for that. `None`: another service of this configuration has that key.
    pub(in crate::engine::balance) fn want(&mut self, name: &Name, wanted: Service) -> Option<u32> {
        let number = match self.by_key.get(&wanted.key) {
            Some(&number) => number,
            None => self.add_row(name, wanted.key),
        };
        let round = self.round;
        let row = self.row_mut(number)?;
        if row.wanted.is_some() && row.round == round {
            return None;
        }
        row.round = round;
        row.name.clone_from(name);
        let (is_new, was_queued) = (row.wanted.is_none(), row.queued);
        // What was told of it while nobody wanted it was not listened to.
        row.disturbed |= is_new && row.knowledge != Knowledge::Nothing;
        let is_unread = row.knowledge != Knowledge::All;
        if row.wanted.as_ref() != Some(&wanted) {
            row.wanted = Some(wanted);
            self.touch(number);
        }
        self.wanted += u32::from(is_new);
        if is_new && was_queued {
            self.queue.push_back(number); // it is in the other queue, where it would wait for others
        }
        if is_unread {
            self.reader.read_now();
        }
        Some(number)
    }

    /// Wants the rows of a service as they are wanted already. False: they are not; `want` them.
    pub(in crate::engine::balance) fn keep(&mut self, rows: &[u32]) -> bool {
        let is_wanted = |number: &u32| self.row(*number).is_some_and(|row| row.wanted.is_some());
        if rows.is_empty() || !rows.iter().all(is_wanted) {
            return false;
        }
        let round = self.round;
        for &number in rows {
            let Some(row) = self.row_mut(number) else { continue };
            row.round = round;
            if row.knowledge != Knowledge::All {
                self.reader.read_now();
            }
        }
        true
    }

    fn add_row(&mut self, name: &Name, key: ServiceKey) -> u32 {
        let row = Some(Row::new(name.clone(), key));
        let number = self.holes.pop().unwrap_or(self.rows.len() as u32);
        match self.rows.get_mut(number as usize) {
            Some(slot) => *slot = row,
            None => self.rows.push(row),
        }
        self.by_key.insert(key, number);
        self.has_grown = true;
        number
    }

    /// Services that an earlier run left in the kernel's table: those that nobody wants go, once the others
    /// are there.
    pub(in crate::engine::balance) fn left(&mut self, keys: &[ServiceKey]) {
        for &key in keys {
            if !self.by_key.contains_key(&key) {
                let number = self.add_row(&Name::new(), key);
                self.touch(number);
            }
        }
    }

    /// The configuration is complete: what it does not have is wanted no more.
    pub(in crate::engine::balance) fn end_round(&mut self) {
        for number in 0..self.rows.len() as u32 {
            if self.row(number).is_some_and(|row| row.round != self.round) {
                self.unwant(number);
            }
        }
    }

    /// Wants nothing any more.
    pub(in crate::engine::balance) fn unwant_all(&mut self) {
        (0..self.rows.len() as u32).for_each(|number| self.unwant(number));
    }

    fn unwant(&mut self, number: u32) {
        if let Some(row) = self.row_mut(number)
            && row.wanted.take().is_some()
        {
            self.wanted = self.wanted.saturating_sub(1);
            self.touch(number);
        }
    }

    /// Says what a service wants of its destinations, the same behind each of its keys: servers in any order,
    /// under their own ports.
    pub(in crate::engine::balance) fn want_destinations(
        &mut self,
        rows: &[u32],
        wants: &[(SocketAddr, Params)],
    ) {
        let mut shared: Option<Wants> = None;
        for &number in rows {
            let Some(row) = self.row_mut(number) else { continue };
            if row.wants[..] == *wants {
                continue;
            }
            row.wants = shared.get_or_insert_with(|| Wants::from(wants)).clone();
            row.is_stale = true;
            self.touch(number);
        }
    }

    /// Is a service in the table, under all its keys?
    pub(in crate::engine::balance) fn is_installed(&self, rows: &[u32]) -> bool {
        !rows.is_empty() && rows.iter().all(|row| self.row(*row).is_some_and(|row| row.actual.is_there()))
    }

    /// Active connections of a service, all keys and destinations, as of the last reading.
    pub(in crate::engine::balance) fn connections(&self, rows: &[u32]) -> u64 {
        let entries = rows.iter().filter_map(|row| self.row(*row)).flat_map(|row| &row.entries);
        entries.map(|e| u64::from(e.active_connections)).sum()
    }

    /// Of one server behind all keys of its service: is it in the table everywhere, and how many active and
    /// inactive connections has it in all?
    pub(in crate::engine::balance) fn server(
        &self,
        rows: &[u32],
        address: SocketAddr,
        method: &Method,
    ) -> (bool, u32, u32) {
        let (mut installed, mut active, mut inactive) = (!rows.is_empty(), 0_u32, 0_u32);
        for row in rows {
            let entry = self.row(*row).and_then(|row| row.entry(place(&row.key, address, method)));
            installed &= entry.is_some_and(|e| e.actual.is_there());
            if let Some(entry) = entry {
                active = active.saturating_add(entry.active_connections);
                inactive = inactive.saturating_add(entry.inactive_connections);
            }
        }
        (installed, active, inactive)
    }

    /// What is ours in the kernel's table, or on its way in or out.
    pub(in crate::engine::balance) fn keys(&self) -> impl Iterator<Item = ServiceKey> + '_ {
        self.by_key.keys().copied()
    }

    /// A row by its number.
    pub(in crate::engine::balance) fn row(&self, number: u32) -> Option<&Row> {
        self.rows.get(number as usize)?.as_ref()
    }

    /// As `row`, to change it; `touch` it then.
    pub(in crate::engine::balance) fn row_mut(&mut self, number: u32) -> Option<&mut Row> {
        self.rows.get_mut(number as usize)?.as_mut()
    }

    /// The number of the row of a service.
    pub(in crate::engine::balance) fn number(&self, key: &ServiceKey) -> Option<u32> {
        self.by_key.get(key).copied()
    }

    /// Has the row compared.
    pub(in crate::engine::balance) fn touch(&mut self, number: u32) {
        if let Some(Some(row)) = self.rows.get_mut(number as usize)
            && !row.queued
        {
            row.queued = true;
            match row.wanted {
                Some(_) => self.queue.push_back(number),
                None => self.leaving.push_back(number),
            }
        }
    }

    /// Are there no rows left?
    pub(in crate::engine::balance) fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// Is any service wanted? If not, there is nothing to read for.
    pub(in crate::engine::balance) fn wants_any(&self) -> bool {
        self.wanted > 0
    }

    /// After a change of the configuration: what was refused is tried at once.
    pub(in crate::engine::balance) fn retry_all_now(&mut self, now: Instant) {
        if self.retry_at.is_none() {
            return;
        }
        for row in self.rows.iter_mut().flatten().filter(|row| row.retry_at.is_some()) {
            row.failures = 0;
            row.retry_at = Some(now);
            self.retry_at = Some(now);
        }
    }

    /// Nothing is wanted of a kernel that has no IPVS: there is nothing to wait for.
    pub(super) fn drop_all(&mut self) {
        // What never came in must not be written down as ours for the next run.
        self.has_shrunk |= !self.by_key.is_empty();
        self.rows.clear();
        self.holes.clear();
        self.by_key.clear();
        self.queue.clear();
        self.leaving.clear();
        self.faults = 0;
        self.family = Family::Unneeded;
    }
}
