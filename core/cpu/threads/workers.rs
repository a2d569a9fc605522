//! Helpers are workers that JavaScript has started. Each enlists here once and then serves one team
//! after another.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::team::Team;
use crate::error::{Code, Result, fail};

/// How often a waiting thread looks before it sleeps: some tens of microseconds. WebAssembly has no
/// instruction to pause between looks.
pub const SPINS: u32 = 20_000;

/// Where helpers and teams meet.
struct Hall {
    /// Helpers that no team has.
    free: usize,
    /// What teams have for them; a helper may still be on its way here.
    seats: Vec<(Arc<Team>, usize)>,
}

static HALL: Mutex<Hall> = Mutex::new(Hall { free: 0, seats: Vec::new() });
static SEATS_CAME: Condvar = Condvar::new();

fn hall() -> MutexGuard<'static, Hall> {
    HALL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The caller's thread helps from now on, for ever. `ready` is told once teams can count on it.
pub fn help(ready: impl FnOnce()) -> ! {
    hall().free += 1;
    ready();
    loop {
        let waiting = SEATS_CAME.wait_while(hall(), |hall| hall.seats.is_empty());
        let seat = waiting.unwrap_or_else(PoisonError::into_inner).seats.pop();
        if let Some((team, seat)) = seat {
            team.help(seat);
        }
    }
}

/// As many as wanted, or as have enlisted.
pub fn count(wanted: usize) -> Result<usize> {
    let there = hall().free + 1;
    if wanted > there {
        fail!(
            Code::BadOption,
            "{wanted} threads were asked for, but only {there} have been started; ask for fewer"
        );
    }
    Ok(if wanted > 0 { wanted } else { there })
}

/// A team's helpers; dropping them lets them go to another team.
pub struct Helpers {
    team: Arc<Team>,
}

impl Helpers {
    /// Calls one for every seat.
    pub fn start(team: &Arc<Team>) -> Result<Helpers> {
        let mut hall = hall();
        let Some(free) = hall.free.checked_sub(team.helpers()) else {
            fail!(
                Code::Internal,
                "{} threads were counted, but another team has taken them; load again",
                team.helpers() + 1
            );
        };
        hall.free = free;
        hall.seats.extend((0..team.helpers()).map(|seat| (Arc::clone(team), seat)));
        SEATS_CAME.notify_all();
        Ok(Helpers { team: Arc::clone(team) })
    }
}

impl Drop for Helpers {
    fn drop(&mut self) {
        self.team.close();
        let mut hall = hall();
        // A seat that nobody has taken yet leads nowhere now.
        hall.seats.retain(|(team, _)| !Arc::ptr_eq(team, &self.team));
        hall.free += self.team.helpers();
    }
}
