//! 10,000 valid adverts of a lower priority a second, at an Active router.

use super::subject::Instance;
use super::{Subject, Table, netns::Advert, netns::Lan, netns::eventually};
use std::time::{Duration, Instant};

const VIP: &str = "10.9.0.100";
const PER_SECOND: u32 = 10_000;

pub fn measure(table: &mut Table, subjects: &[Subject], quick: bool) {
    let length = Duration::from_secs(if quick { 2 } else { 8 });
    for &subject in subjects {
        let lan = Lan::new();
        let vips = vec![format!("{VIP}/24")];
        let instance = Instance { priority: 200, interval_ms: 100, vips, more: String::new() };
        let mut a = subject.start(&lan, &lan.a, &instance);
        eventually("a carries the VIP", Duration::from_secs(10), || lan.a.has(VIP));
        let lower = [Advert::new(3, 51, 10, 10, VIP).frame()];
        // What is allocated once is there before the measure.
        lan.injector().flood(&lower, PER_SECOND, Duration::from_secs(1));
        let (before, busy) = (a.daemon().kilobytes("smaps_rollup", "Pss_Anon"), a.daemon().cpu_ticks());
        let from = Instant::now();
        let sent = lan.injector().flood(&lower, PER_SECOND, length);
        let took = from.elapsed();
        let (after, busy) = (a.daemon().kilobytes("smaps_rollup", "Pss_Anon"), a.daemon().cpu_ticks() - busy);
        let times = lan.capture.advert_times('a', 51, from);
        let rate = times.len() as f64 / took.as_secs_f64();
        let longest = times.windows(2).map(|w| w[1] - w[0]).max().unwrap_or(took);
        let what = format!("{PER_SECOND} lower adverts/s");
        let value = format!("{rate:.0}/s (longest gap {:.0} ms)", longest.as_secs_f64() * 1e3);
        assert!(sent as f64 > 0.8 * f64::from(PER_SECOND) * length.as_secs_f64(), "only {sent} were sent");
        table.put(&format!("{what}, own adverts"), subject, value, "at 100 ms, 10/s without answers to them");
        let value = format!("{:+} kB", after as i64 - before as i64);
        table.put(&format!("{what}, memory"), subject, value, "growth of heap and stack over the flood");
        let share = busy as f64 / took.as_secs_f64();
        table.put(&format!("{what}, CPU"), subject, format!("{share:.1} %"), "all processes");
    }
}
