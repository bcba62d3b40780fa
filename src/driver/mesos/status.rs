//! What a status of a task says of its launch: whose fault an end was, and whether there ever was a beginning.

use super::event::Status;
use crate::launch::TaskState;
use crate::model::{JobId, LaunchName, Outcome, Usage};

/// What to do about a status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// News for the engine.
    News(TaskState),
    /// Nobody can tell.
    Doubt(Doubt),
}

/// That nobody can tell whether a task is there. It may come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Doubt {
    /// Its agent does not answer; else the master does not know it.
    pub(crate) is_unreachable: bool,
    /// In the words of the master.
    pub(crate) reason: String,
}

/// The id of a task: the execution's name in a cluster, and the launch's name, which no other launch ever has.
pub(crate) fn task_id(cluster_id: &str, name: LaunchName) -> String {
    format!("{cluster_id}_{name}")
}

/// What the id of a task says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TaskName {
    pub(crate) launch: LaunchName,
    pub(crate) job: JobId,
    pub(crate) exe_num: u32,
}

/// What the id of a task says; none where it is not of our making.
pub(crate) fn named_by(task_id: &str) -> Option<TaskName> {
    let (cluster_id, launch) = task_id.rsplit_once('_')?;
    let (job, exe_num) = cluster_id.rsplit_once('_')?.1.split_once('x')?;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (job, exe_num) = (digits(job) && digits(exe_num)).then_some((job, exe_num))?;
    Some(TaskName {
        launch: launch.parse().ok()?,
        job: JobId(job.parse().ok()?),
        exe_num: exe_num.parse().ok()?,
    })
}

/// The number of a signal by the word for it.
const SIGNALS: [(&str, i32); 14] = [
    ("Hangup", 1),
    ("Interrupt", 2),
    ("Quit", 3),
    ("Illegal instruction", 4),
    ("Trace/breakpoint trap", 5),
    ("Aborted", 6),
    ("Bus error", 7),
    ("Floating point exception", 8),
    ("Killed", 9),
    ("User defined signal 1", 10),
    ("Segmentation fault", 11),
    ("User defined signal 2", 12),
    ("Broken pipe", 13),
    ("Terminated", 15),
];

/// How a command ended: Mesos tells it in words alone.
fn exit(message: &str) -> Outcome {
    let after = |words: &str| message.split_once(words).map(|(_, rest)| rest);
    let code = after("exited with status ").and_then(|rest| {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        rest[..digits].parse().ok().filter(|code| *code != 0)
    });
    let signal = after("terminated with signal ")
        .and_then(|rest| SIGNALS.iter().find(|(word, _)| rest.starts_with(word)).map(|(_, signal)| *signal));
    match (code, signal) {
        (_, Some(signal)) => Outcome::Signaled { signal },
        (code, None) => Outcome::Exited { code: code.unwrap_or(1) },
    }
}

/// Ends that are no fault of the command: of the agent, the executor, or whoever drains a machine.
const OF_THE_SYSTEM: [&str; 14] = [
    "REASON_AGENT_DRAINING",
    "REASON_SLAVE_DRAINING",
    "REASON_AGENT_RESTARTED",
    "REASON_SLAVE_RESTARTED",
    "REASON_AGENT_REMOVED",
    "REASON_SLAVE_REMOVED",
    "REASON_AGENT_DISCONNECTED",
    "REASON_SLAVE_DISCONNECTED",
    "REASON_CONTAINER_PREEMPTED",
    "REASON_EXECUTOR_REGISTRATION_TIMEOUT",
    "REASON_EXECUTOR_REREGISTRATION_TIMEOUT",
    "REASON_EXECUTOR_TERMINATED",
    "REASON_EXECUTOR_UNREGISTERED",
    "REASON_IO_SWITCHBOARD_EXITED",
];

/// The launch was on an offer that had ended: no agent ever heard of it.
const NO_OFFER: &str = "REASON_INVALID_OFFERS";

/// A master's answer to a question: the state alone, without the reason there was.
const UNKNOWN: &str = "REASON_RECONCILIATION";

/// What a master says of the tasks of an agent that is back: likewise.
const AGENT_IS_BACK: [&str; 2] = ["REASON_AGENT_REREGISTERED", "REASON_SLAVE_REREGISTERED"];

const TOO_LONG: &str = "REASON_MAX_COMPLETION_TIME_REACHED";

/// The container never came to be: an image or a file that is not there, a user that is not known.
const NO_CONTAINER: &str = "REASON_CONTAINER_LAUNCH_FAILED";

impl Status {
    /// Whether the offers had less than the task and its executor were to have.
    pub(crate) fn lacks_room(&self) -> bool {
        self.state == "TASK_ERROR" && self.message.contains("is more than available")
    }

    /// Whether an agent got the task and would not have it, or any other. One whose executor is about to end takes
    /// the next.
    pub(crate) fn is_dropped(&self) -> bool {
        let is_of_others = [NO_OFFER, UNKNOWN, "REASON_EXECUTOR_TERMINATED"].contains(&self.reason.as_str());
        self.state == "TASK_DROPPED" && !is_of_others
    }

    pub(crate) fn read(&self) -> Told {
        let reason = || format!("{}, {}: {}", self.state, self.reason, self.message);
        let ended = |outcome| TaskState::Ended { outcome, usage: Usage::default() };
        let is_of_the_system = OF_THE_SYSTEM.contains(&self.reason.as_str());
        let has_no_reason = self.reason == UNKNOWN || AGENT_IS_BACK.contains(&self.reason.as_str());
        Told::News(match (self.state.as_str(), self.reason.as_str()) {
            ("TASK_UNREACHABLE", _) => return Told::Doubt(Doubt { is_unreachable: true, reason: reason() }),
            ("TASK_UNKNOWN", _) | ("TASK_LOST", UNKNOWN) => {
                return Told::Doubt(Doubt { is_unreachable: false, reason: reason() });
            }
            ("TASK_FINISHED", _) => ended(Outcome::Exited { code: 0 }),
            // Its own news, which says why, is on its way: it is sent until it is acknowledged.
            ("TASK_FAILED" | "TASK_KILLED", _) if has_no_reason => TaskState::Running,
            ("TASK_FAILED" | "TASK_KILLED", TOO_LONG) => ended(Outcome::TimedOut),
            ("TASK_FAILED" | "TASK_KILLED", _) if is_of_the_system => {
                ended(Outcome::Lost { reason: reason() })
            }
            ("TASK_FAILED", NO_CONTAINER) | ("TASK_ERROR", _) => {
                ended(Outcome::NotStarted { reason: reason() })
            }
            ("TASK_FAILED", _) => ended(exit(&self.message)),
            ("TASK_KILLED", _) => ended(Outcome::Canceled),
            // It never ran: the same execution is launched again, under the next number.
            ("TASK_DROPPED", _) | ("TASK_LOST", NO_OFFER) => TaskState::Refused { reason: reason() },
            ("TASK_LOST" | "TASK_GONE" | "TASK_GONE_BY_OPERATOR", _) => {
                ended(Outcome::Lost { reason: reason() })
            }
            _ => TaskState::Running,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ExeId, JobId, cluster_id};

    fn told(state: &str, reason: &str, message: &str) -> Told {
        let [state, reason, message] = [state, reason, message].map(str::to_owned);
        Status { state, reason, message, ..Status::default() }.read()
    }

    fn ended(outcome: Outcome) -> Told {
        Told::News(TaskState::Ended { outcome, usage: Usage::default() })
    }

    #[test]
    fn an_id_of_a_task_is_read_back() {
        let name = LaunchName { exe: ExeId(17), number: 2 };
        let id = task_id(&cluster_id("a-1", JobId(7), 3), name);
        assert_eq!(id, "scale_job_a-1_7x3_17.2");
        assert_eq!(named_by(&id), Some(TaskName { launch: name, job: JobId(7), exe_num: 3 }));
        for other in
            ["", "17.2", "scale_job_a_7x3", "x_1.2.3", "other_task", "a_7_17.2", "a_7x+3_17.2", "a_x_1.1"]
        {
            assert_eq!(named_by(other), None, "{other}");
        }
    }

    #[test]
    fn a_lack_of_room_is_known_by_the_words_of_the_master() {
        let lacks = |state: &str, message: &str| {
            let [state, message] = [state, message].map(str::to_owned);
            Status { state, message, reason: "REASON_TASK_INVALID".into(), ..Status::default() }.lacks_room()
        };
        let words = "Total resources cpus(allocated: *):0.75; mem(allocated: *):64 required by task and its \
                     executor is more than available cpus(allocated: *):0.5; mem(allocated: *):64";
        assert!(lacks("TASK_ERROR", words));
        assert!(!lacks("TASK_FAILED", words), "it ran");
        assert!(!lacks("TASK_ERROR", "Task uses invalid resources: mem:-1"));
    }

    #[test]
    fn an_agent_that_drops_a_task_would_drop_others_too_but_for_some_reasons() {
        let drops = |state: &str, reason: &str| {
            let [state, reason] = [state, reason].map(str::to_owned);
            Status { state, reason, ..Status::default() }.is_dropped()
        };
        assert!(drops("TASK_DROPPED", "REASON_AGENT_DRAINING") && drops("TASK_DROPPED", ""));
        assert!(!drops("TASK_KILLED", "REASON_AGENT_DRAINING"));
        for reason in [NO_OFFER, UNKNOWN, "REASON_EXECUTOR_TERMINATED"] {
            assert!(!drops("TASK_DROPPED", reason), "{reason}");
        }
    }

    #[test]
    fn an_end_is_told_by_who_is_at_fault() {
        let lost = |word: &str, why: &str| ended(Outcome::Lost { reason: format!("{word}, {why}: m") });
        let failed = |message: &str| told("TASK_FAILED", "REASON_COMMAND_EXECUTOR_FAILED", message);
        assert_eq!(told("TASK_FINISHED", "", ""), ended(Outcome::Exited { code: 0 }));
        assert_eq!(failed("Command exited with status 42"), ended(Outcome::Exited { code: 42 }));
        assert_eq!(failed("Command terminated with signal Killed"), ended(Outcome::Signaled { signal: 9 }));
        let dumped = "Command terminated with signal Segmentation fault (core dumped)";
        assert_eq!(failed(dumped), ended(Outcome::Signaled { signal: 11 }));
        assert_eq!(failed("who knows"), ended(Outcome::Exited { code: 1 }));
        assert_eq!(failed("exited with status 99999999999"), ended(Outcome::Exited { code: 1 }));
        assert_eq!(told("TASK_FAILED", TOO_LONG, "exited with status 1"), ended(Outcome::TimedOut));
        let never = Outcome::NotStarted { reason: "TASK_ERROR, REASON_TASK_INVALID: m".into() };
        assert_eq!(told("TASK_ERROR", "REASON_TASK_INVALID", "m"), ended(never));
        assert_eq!(told("TASK_KILLED", "", ""), ended(Outcome::Canceled));
        for (word, why) in [
            ("TASK_KILLED", "REASON_AGENT_DRAINING"),
            ("TASK_FAILED", "REASON_EXECUTOR_TERMINATED"),
            ("TASK_LOST", "REASON_SLAVE_REMOVED"),
            ("TASK_GONE", "REASON_SLAVE_REMOVED_BY_OPERATOR"),
            ("TASK_GONE_BY_OPERATOR", ""),
        ] {
            assert_eq!(told(word, why, "m"), lost(word, why));
        }
        for word in ["TASK_DROPPED", "TASK_LOST"] {
            let refused = TaskState::Refused { reason: format!("{word}, {NO_OFFER}: m") };
            assert_eq!(told(word, NO_OFFER, "m"), Told::News(refused));
        }
        for word in ["TASK_FAILED", "TASK_KILLED"] {
            for why in [UNKNOWN, "REASON_AGENT_REREGISTERED", "REASON_SLAVE_REREGISTERED"] {
                assert_eq!(told(word, why, "m"), Told::News(TaskState::Running), "{word}, {why}");
            }
        }
        let doubt = |word: &str, is_unreachable| {
            assert_eq!(
                told(word, UNKNOWN, "m"),
                Told::Doubt(Doubt { is_unreachable, reason: format!("{word}, {UNKNOWN}: m") })
            );
        };
        doubt("TASK_UNREACHABLE", true);
        doubt("TASK_UNKNOWN", false);
        doubt("TASK_LOST", false);
        for word in ["TASK_STAGING", "TASK_STARTING", "TASK_RUNNING", "TASK_KILLING", "TASK_OF_TOMORROW"] {
            assert_eq!(told(word, "", ""), Told::News(TaskState::Running), "{word}");
        }
    }
}
