//! stub
use super::*;
#[derive(Debug)]
pub(super) struct Balancer {}
impl Balancer {
    pub(super) fn new(_: &Config, _: Instant, _: u32) -> Self {
        Balancer {}
    }
    pub(super) fn start(&mut self, _: Instant, _: &mut Ctx<'_>) {}
    pub(super) fn handle_ipvs(&mut self, _: Instant, _: IpvsEvent, _: &mut Ctx<'_>) {}
    pub(super) fn handle_probe(&mut self, _: Instant, _: ProbeId, _: Outcome, _: Duration, _: &mut Ctx<'_>) {}
    pub(super) fn tick(&mut self, _: Instant, _: &mut Ctx<'_>) {}
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        None
    }
    pub(super) fn probe_spec(&self, _: ProbeId) -> Option<ProbeSpec<'_>> {
        None
    }
    pub(super) fn reload(&mut self, _: Instant, _: &Config, _: &mut Ctx<'_>) {}
    pub(super) fn shutdown(&mut self, _: Instant, _: &mut Ctx<'_>) {}
    pub(super) fn is_shut_down(&self) -> bool {
        true
    }
    pub(super) fn fill(&self, _: Instant, _: &mut Snapshot) {}
}
