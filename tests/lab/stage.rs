//! Steps, told to whoever looks on, each with its time.

use std::cell::Cell;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// When the machine stood still, and for how long.
static STALLS: Mutex<Vec<(Instant, Duration)>> = Mutex::new(Vec::new());

/// Starts the thread that notices when it is woken too late.
pub fn watch_stalls() {
    const PERIOD: Duration = Duration::from_millis(20);
    std::thread::spawn(|| {
        loop {
            let begin = Instant::now();
            std::thread::sleep(PERIOD);
            let late = begin.elapsed().saturating_sub(PERIOD);
            if late > Duration::from_millis(100) {
                STALLS.lock().unwrap().push((Instant::now(), late));
            }
        }
    });
}

/// What a step or a scenario ends with: what went wrong, in words.
pub type Outcome<T = ()> = Result<T, String>;

/// One scenario's voice and clock.
pub struct Stage {
    /// The scenario's name; also the prefix of its namespaces.
    pub name: String,
    /// Tell everything: status screens, progress of slow steps.
    pub loud: bool,
    begin: Instant,
    steps: Cell<u32>,
}

impl Stage {
    /// A stage for the scenario `name`.
    pub fn new(name: String, loud: bool) -> Self {
        Stage { name, loud, begin: Instant::now(), steps: Cell::new(0) }
    }

    /// One line (or more), with the scenario's name and the time since its begin.
    pub fn say(&self, text: impl AsRef<str>) {
        let at = self.begin.elapsed().as_secs_f64();
        let lines: Vec<String> = text
            .as_ref()
            .lines()
            .map(|line| format!("{:<7}{at:6.1}s  {}\n", self.name, line.trim_end()))
            .collect();
        // One call, so that lines of scenarios side by side do not mix.
        print!("{}", lines.concat());
    }

    /// Does one step; it must end well for the scenario to go on.
    pub fn step<T>(&self, title: &str, body: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
        let number = self.steps.get() + 1;
        self.steps.set(number);
        if self.loud {
            println!();
        }
        self.say(format!("{number}. {title}"));
        let begin = Instant::now();
        let result = body();
        match &result {
            Ok(_) => self.say(format!("   ok, {:.1} s", begin.elapsed().as_secs_f64())),
            Err(why) => self.say(format!("   FAILED after {:.1} s: {why}", begin.elapsed().as_secs_f64())),
        }
        result.map_err(|why| format!("step {number}, {title}: {why}"))
    }

    /// Asks `check` again and again until it gives a value; tells how long it took. An error of `check` is
    /// what is told when the time is over.
    pub fn until<T>(
        &self,
        what: &str,
        limit: Duration,
        mut check: impl FnMut() -> Outcome<T>,
    ) -> Outcome<(T, Duration)> {
        let begin = Instant::now();
        let mut told = 0;
        loop {
            let last = match check() {
                Ok(value) => {
                    let took = begin.elapsed();
                    self.say(format!("   {what}: after {:.2} s", took.as_secs_f64()));
                    return Ok((value, took));
                }
                Err(why) => why,
            };
            let waited = begin.elapsed();
            if waited > limit {
                return Err(format!("{what}: not within {:.1} s: {last}", limit.as_secs_f64()));
            }
            if self.loud && waited.as_secs() / 3 > told {
                told = waited.as_secs() / 3;
                self.say(format!("   ... {} s: {last}", waited.as_secs()));
            }
            std::thread::sleep(Duration::from_millis(40));
        }
    }

    /// The longest time for which the whole machine stood still since the scenario's begin.
    pub fn worst_stall(&self) -> Duration {
        let stalls = STALLS.lock().unwrap();
        stalls.iter().filter(|(at, _)| *at >= self.begin).map(|(_, length)| *length).max().unwrap_or_default()
    }

    /// The last line of the scenario.
    pub fn end(&self, outcome: Outcome) -> bool {
        let steps = self.steps.get();
        match &outcome {
            Ok(()) => self.say(format!("PASSED, {steps} steps")),
            Err(why) => self.say(format!("FAILED: {why}")),
        }
        outcome.is_ok()
    }
}

/// An error where something is not as it must be.
pub fn ensure(condition: bool, why: impl FnOnce() -> String) -> Outcome {
    if condition { Ok(()) } else { Err(why()) }
}
