//! Whole nightly runs: the real program, several at once, with one PostgreSQL and one mock.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use bluebutton_mock::population::Population;
use rcgen::CertificateParams;
use serde_json::Value;
use tempfile::TempDir;

use super::KEY;
use crate::support::{
    Setting, Stage, assert_code, bbdl, finished, http, lines,
    postgres::{Cluster, Database, Pooler, database},
    text,
    tls::certificate,
};

/// Enrollees in a shared state whose access tokens all have to be renewed first.
pub(super) struct Fleet {
    pub(super) stage: Stage,
    pub(super) database: Database,
    /// The address that workers are given.
    state: String,
    /// A home for each worker, and what they share.
    dir: TempDir,
}

impl Fleet {
    pub(super) fn of(database: Database, enrollees: usize, setting: Setting) -> Self {
        let state = database.url();
        Self::reached_by((database, state), enrollees, setting)
    }

    fn reached_by((database, state): (Database, String), enrollees: usize, setting: Setting) -> Self {
        let records = Some(Box::new(Population::new(7, enrollees, 2)) as Box<_>);
        let stage = Stage::with(Setting { records, ..setting });
        let fleet = Self { stage, database, state, dir: tempfile::tempdir().unwrap() };
        let consents = http("POST", &format!("{}/__mock/consents", fleet.stage.mock.url()), &[], "");
        assert_eq!(consents.status, 200, "{}", consents.body);
        let rows: Vec<String> = consents.body.lines().enumerate().map(|(number, row)| renewable(number, row)).collect();
        std::fs::write(fleet.path("rows"), rows.join("\n")).unwrap();
        let mut import = fleet.bbdl("importer", &["profiles", "import"]);
        import.arg(fleet.path("rows"));
        let output = finished(import);
        assert_code(&output, 0, &["import"]);
        let profiles = if enrollees == 1 { "profile" } else { "profiles" };
        assert!(text(&output.stdout).contains(&format!("{enrollees} {profiles} imported, 0 rows refused")));
        fleet.stage.asked();
        fleet
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The program on a separate machine.
    pub(super) fn bbdl(&self, machine: &str, arguments: &[&str]) -> Command {
        let home = self.path(machine);
        std::fs::create_dir_all(&home).unwrap();
        let mut command = bbdl(&home);
        command.args(arguments).env("BBDL_STATE", &self.state).env("BBDL_STATE_KEY", KEY).env("BBDL_JOBS", "2");
        command
    }

    pub(super) fn worker(&self, machine: &str, more: &[&str]) -> Command {
        let mut command = self.bbdl(machine, &["fetch", "eob", "--all-profiles", "--out"]);
        command.arg(self.path("archives")).arg("--results").arg(self.path(&format!("{machine}.results"))).args(more);
        command
    }

    fn start(&self, machine: &str) -> Child {
        let log =
            std::fs::File::options().create(true).append(true).open(self.path(&format!("{machine}.log"))).unwrap();
        let mut command = self.worker(machine, &[]);
        command.stdout(Stdio::null()).stderr(log).spawn().unwrap()
    }

    /// How often each enrollee's pull succeeded, according to the results of these machines.
    fn successes(&self, machines: &[String]) -> BTreeMap<String, usize> {
        let mut times = BTreeMap::new();
        for machine in machines {
            let path = self.path(&format!("{machine}.results"));
            for line in if path.exists() { lines(&path) } else { Vec::new() } {
                let row: Value = serde_json::from_str(&line).unwrap();
                if row["ok"] == true {
                    *times.entry(row["profile"].as_str().unwrap().to_owned()).or_default() += 1;
                }
            }
        }
        times
    }

    fn renewals(&self) -> usize {
        self.stage.asked().iter().filter(|row| row.contains("/o/token/")).count()
    }

    pub(super) fn ok(&self) -> u64 {
        self.database.number("SELECT count(*) FROM bbdl.enrollee WHERE ok")
    }
}

/// A row whose first pull has to renew.
fn renewable(number: usize, row: &str) -> String {
    let mut row: Value = serde_json::from_str(row).unwrap();
    row["name"] = format!("p{number:04}").into();
    let fields = row.as_object_mut().unwrap();
    fields.remove("access_token");
    fields.remove("access_token_expires");
    row.to_string()
}

fn machines(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("m{number}")).collect()
}

fn until(what: &str, holds: impl Fn() -> bool) {
    const PATIENCE: Duration = Duration::from_secs(120);
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn codes(workers: Vec<Child>) -> Vec<Option<i32>> {
    workers.into_iter().map(|mut worker| worker.wait().unwrap().code()).collect()
}

#[test]
fn eight_workers_pull_for_everybody_exactly_once() {
    const PEOPLE: usize = 400;
    let Some(database) = database() else { return };
    let fleet = Fleet::of(database, PEOPLE, Setting::default());
    let all = machines(8);
    let mut workers: Vec<Child> = all[..4].iter().map(|machine| fleet.start(machine)).collect();
    // The second run begins while the first one is working.
    until("nobody was pulled", || fleet.ok() > 20);
    workers.extend(all[4..].iter().map(|machine| fleet.start(machine)));
    assert_eq!(codes(workers), [Some(0); 8]);
    let times = fleet.successes(&all);
    assert_eq!(times.len(), PEOPLE);
    assert!(times.values().all(|times| *times == 1), "{times:?}");
    assert_eq!(fleet.renewals(), PEOPLE, "each token was renewed once");
    assert_eq!(
        fleet.database.number("SELECT count(*) FROM bbdl.enrollee WHERE ok AND leased_by IS NULL AND fence = 1"),
        400
    );
    assert_eq!(fleet.database.number("SELECT count(*) FROM bbdl.worker"), 0, "all have signed off");
    let busy = all.iter().filter(|machine| fleet.path(&format!("{machine}.results")).exists()).count();
    assert!(busy >= 4, "{busy} of them had work");

    // A later run finds everyone fresh, and sends the server no requests.
    let output = finished(fleet.worker("late", &["--json"]));
    assert_code(&output, 0, &["late"]);
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&told["run"]["due"], &told["run"]["fresh"]), (&0.into(), &PEOPLE.into()));
    assert!(fleet.stage.asked().is_empty());
    // A resource that was not asked for before is due, and needs no renewal.
    let mut patients = fleet.bbdl("patients", &["fetch", "patient", "--all-profiles", "--json", "--out"]);
    patients.arg(fleet.path("patients"));
    let told: Value = serde_json::from_slice(&finished(patients).stdout).unwrap();
    assert_eq!(told["run"]["succeeded"], PEOPLE);
}

/// Eight workers share three database sessions, so no transaction may depend on another one.
#[test]
fn eight_workers_pull_through_a_pooler() {
    const PEOPLE: usize = 200;
    let Some(database) = database() else { return };
    let Some(pooler) = Pooler::before(&database, 3) else { return };
    let url = pooler.url(&database);
    let fleet = Fleet::reached_by((database, url), PEOPLE, Setting::default());
    let all = machines(8);
    let workers: Vec<Child> = all.iter().map(|machine| fleet.start(machine)).collect();
    // Not the workers of the server itself, such as those of autovacuum.
    let sessions = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'";
    until("nobody was pulled", || fleet.ok() > 20);
    assert!((1..=3).contains(&fleet.database.number(sessions)), "{}", fleet.database.number(sessions));
    assert_eq!(codes(workers), [Some(0); 8]);
    let times = fleet.successes(&all);
    assert_eq!((times.len(), times.values().max()), (PEOPLE, Some(&1)));
    assert_eq!(fleet.renewals(), PEOPLE);
    assert_eq!(fleet.database.number("SELECT count(*) FROM bbdl.worker"), 0, "all have signed off");
}

/// The times at which the mock answered requests for claims, in seconds, including those that it refused.
fn answers(fleet: &Fleet) -> Vec<(f64, u64)> {
    let rows = http("GET", &format!("{}/__mock/requests", fleet.stage.mock.url()), &[], "").body;
    let rows: Vec<Value> = serde_json::from_str(&rows).unwrap();
    let instant = |row: &Value| {
        let at: jiff::Timestamp = row["at"].as_str().unwrap().parse().unwrap();
        (at.as_duration().as_secs_f64(), row["status"].as_u64().unwrap())
    };
    rows.iter().filter(|row| row["path"].as_str().unwrap().contains("ExplanationOfBenefit")).map(instant).collect()
}

#[test]
fn what_one_worker_is_told_by_the_server_holds_all() {
    /// How long the server asks to wait, and how long the others may need to hear about it. A heartbeat comes once a
    /// second.
    const HOLD: f64 = 12.0;
    const HEARD: f64 = 6.0;
    let Some(database) = database() else { return };
    let fleet = Fleet::of(database, 300, Setting { latency: Duration::from_millis(100), ..Setting::default() });
    let workers: Vec<Child> = machines(4).iter().map(|machine| fleet.start(machine)).collect();
    until("nobody was pulled", || fleet.ok() > 20);
    fleet.stage.faults(&[&format!("throttle={HOLD}@ExplanationOfBenefit#1")]);
    assert_eq!(codes(workers), [Some(0); 4]);
    let answers = answers(&fleet);
    let (held, _) = *answers.iter().find(|(_, status)| *status == 429).expect("the server refused one");
    let within = answers.iter().filter(|(at, _)| (held + HEARD..held + HOLD).contains(at)).count();
    let after = answers.iter().filter(|(at, _)| *at > held + HOLD).count();
    assert_eq!(within, 0, "the server was asked although it wanted to be left alone");
    assert!(after > 40, "{after}: most of them came later");
    assert_eq!(fleet.ok(), 300);
}

#[test]
fn the_database_has_to_prove_its_name() {
    let Some(cluster) = Cluster::start() else { return };
    let dir = tempfile::tempdir().unwrap();
    let (leaf, key) = certificate(dir.path(), CertificateParams::new(["localhost".to_owned()]).unwrap());
    let database = cluster.database("tls");
    let fleet = Fleet::of(database, 3, Setting::default());
    let port = cluster.listen_with_tls(&leaf.pem(), &key.serialize_pem());
    let listed = |host: &str, more: &str| {
        let mut command = fleet.bbdl("m0", &["profiles", "list"]);
        let state = format!("postgres://bbdl@{host}:{port}/tls?patience=1s{more}");
        command.env("BBDL_STATE", state);
        let output = finished(command);
        (output.status.code().unwrap(), text(&output.stdout) + &text(&output.stderr))
    };
    let root = format!("&sslrootcert={}", dir.path().join("ca.pem").display());
    let (code, said) = listed("localhost", &root);
    assert!(code == 0 && said.contains("p0001"), "{code}: {said}");
    // An unknown authority; another name than in the certificate; no TLS although the server requires it.
    for (host, more, words) in [
        ("localhost", "", "certificate"),
        ("127.0.0.1", root.as_str(), "certificate"),
        ("localhost", "&sslmode=disable", "pg_hba.conf"),
    ] {
        let (code, said) = listed(host, more);
        assert_eq!(code, 78, "{host} {more}: {said}");
        assert!(said.contains(words), "{host} {more}: {said}");
    }
}

/// Waiting does not help against that.
#[test]
fn a_database_without_tls_says_what_to_do() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // PostgreSQL's answer to a request for TLS if it does not support TLS (its manual, 53.2.11).
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let mut request = [0; 8];
            let _ = std::io::Read::read_exact(&mut client, &mut request);
            let _ = std::io::Write::write_all(&mut client, b"N");
        }
    });
    let home = tempfile::tempdir().unwrap();
    let mut command = crate::support::bbdl(home.path());
    command.args(["profiles", "list", "--state", &format!("postgres://bbdl@127.0.0.1:{port}/bbdl?patience=1s")]);
    let output = finished(command);
    assert_code(&output, 78, &["no TLS"]);
    let said = text(&output.stderr);
    assert!(said.contains("does not offer TLS") && said.contains("sslmode=disable"), "{said}");
}

/// Numbers that are the same for the same seed (splitmix64).
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[test]
fn workers_killed_at_any_moment_lose_only_renewals_in_flight() {
    const PEOPLE: usize = 400;
    const KILLS: usize = 50;
    const WORKERS: usize = 4;
    let Some(database) = database() else { return };
    let fleet = Fleet::of(database, PEOPLE, Setting { latency: Duration::from_millis(20), ..Setting::default() });
    let database = &fleet.database;
    database.sql(
        "UPDATE bbdl.setting SET lease = '4 seconds', longest_renewal = '5 seconds', worker_is_dead = '3 seconds'",
    );
    let mut dice = 20_261_129;
    let (mut kills, mut in_flight, mut next) = (0, 0, 0);
    let mut workers: Vec<Child> = Vec::new();
    while kills < KILLS {
        // A worker with nothing left to do is replaced, and everyone is due again.
        workers.retain_mut(|worker| worker.try_wait().unwrap().is_none());
        if database.number("SELECT count(*) FROM bbdl.enrollee WHERE ended_kind IS NULL AND NOT ok") < 40 {
            fleet.stage.control("POST", "clock", r#"{"advance_seconds": 4000}"#);
            database.sql("UPDATE bbdl.enrollee SET ok = false, due_at = '-infinity' WHERE ended_kind IS NULL");
        }
        while workers.len() < WORKERS {
            workers.push(fleet.start(&format!("m{next}")));
            next += 1;
        }
        thread::sleep(Duration::from_millis(50 + random(&mut dice) % 700));
        let at = usize::try_from(random(&mut dice) % WORKERS as u64).unwrap();
        let mut worker = workers.swap_remove(at);
        worker.kill().unwrap();
        worker.wait().unwrap();
        kills += 1;
        in_flight += database.number(&format!(
            "SELECT count(*) FROM bbdl.enrollee e JOIN bbdl.worker w ON w.id = e.renewing_worker WHERE w.pid = {}",
            worker.id()
        ));
    }
    // The last run is not disturbed.
    codes(workers);
    database.sql("UPDATE bbdl.enrollee SET due_at = '-infinity' WHERE NOT ok");
    let end = fleet.start("last").wait().unwrap().code();
    assert!(matches!(end, Some(0 | 77)), "{end:?}: {}", std::fs::read_to_string(fleet.path("last.log")).unwrap());

    let lost = database.number("SELECT count(*) FROM bbdl.enrollee WHERE ended_kind = 'lost_by_us'");
    crate::support::tell(&format!(
        "shared state: {KILLS} workers killed, {in_flight} renewals in flight, {lost} consents lost"
    ));
    assert_eq!(database.sql("SELECT DISTINCT ended_kind FROM bbdl.enrollee WHERE ended_kind <> 'lost_by_us'"), "");
    assert!(lost <= in_flight, "{lost} lost, {in_flight} in flight");
    assert_eq!(
        database.number("SELECT count(*) FROM bbdl.enrollee WHERE NOT ok AND ended_kind IS NULL"),
        0,
        "nobody is missed"
    );
    let whole: BTreeSet<String> = std::fs::read_dir(fleet.path("archives"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let pulled = database.sql("SELECT name FROM bbdl.enrollee WHERE ok ORDER BY name");
    assert!(pulled.lines().all(|name| whole.contains(name)));
}

#[test]
fn a_database_that_restarts_in_the_night_costs_nothing() {
    let Some(cluster) = Cluster::start() else { return };
    let fleet = Fleet::of(
        cluster.database("restart"),
        80,
        Setting { latency: Duration::from_millis(20), ..Setting::default() },
    );
    let all = machines(3);
    let workers: Vec<Child> = all.iter().map(|machine| fleet.start(machine)).collect();
    for pulled in [10, 40] {
        until("nobody was pulled", || fleet.ok() > pulled);
        cluster.down();
        cluster.up();
    }
    assert_eq!(codes(workers), [Some(0); 3]);
    assert_eq!(fleet.ok(), 80);
    assert_eq!(fleet.renewals(), 80);
}

#[test]
fn a_database_that_stays_away_is_75_and_nothing_is_lost() {
    let Some(cluster) = Cluster::start() else { return };
    let fleet =
        Fleet::of(cluster.database("away"), 60, Setting { latency: Duration::from_millis(30), ..Setting::default() });
    fleet.database.sql("UPDATE bbdl.setting SET longest_renewal = '5 seconds'");
    let impatient = |machine: &str| {
        let mut command = fleet.worker(machine, &[]);
        command.env("BBDL_STATE", format!("{}&patience=2s", fleet.database.url()));
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let workers: Vec<Child> = machines(2).iter().map(|machine| impatient(machine)).collect();
    until("nobody was pulled", || fleet.ok() > 5);
    cluster.down();
    assert_eq!(codes(workers), [Some(75); 2]);
    assert_eq!(impatient("m0").wait().unwrap().code(), Some(75), "it is still away");
    cluster.up();
    // Their leases expire. The same two machines continue, and deliver what they kept.
    fleet.database.sql("UPDATE bbdl.enrollee SET leased_until = now(), due_at = '-infinity' WHERE NOT ok");
    let workers: Vec<Child> = machines(2).iter().map(|machine| fleet.start(machine)).collect();
    assert_eq!(codes(workers), [Some(0); 2]);
    assert_eq!(fleet.ok(), 60);
    assert_eq!(fleet.renewals(), 60, "no token was renewed twice");
}

#[test]
fn a_slow_database_is_waited_for() {
    let Some(database) = database() else { return };
    let fleet = Fleet::of(database, 20, Setting::default());
    let blocker = fleet.database.clone();
    let blocking = thread::spawn(move || blocker.sql("BEGIN; LOCK TABLE bbdl.enrollee; SELECT pg_sleep(4); COMMIT"));
    until("nothing is locked", || {
        fleet.database.number("SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock'") > 0
    });
    assert_eq!(fleet.start("m0").wait().unwrap().code(), Some(0));
    blocking.join().unwrap();
    assert_eq!(fleet.ok(), 20);
}

#[test]
fn workers_whose_clocks_are_hours_apart_share_the_night() {
    let Some(database) = database() else { return };
    if !crate::support::has_programs(&["faketime"]) {
        return;
    }
    let fleet = Fleet::of(database, 60, Setting { latency: Duration::from_millis(20), ..Setting::default() });
    let at = |machine: &str, offset: &str| {
        let inner = fleet.worker(machine, &[]);
        let mut command = Command::new("faketime");
        command.args(["-m", "-f", offset]).arg(inner.get_program()).args(inner.get_args());
        command.env_clear().envs(inner.get_envs().filter_map(|(key, value)| Some((key, value?))));
        command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let workers = vec![at("m0", "-5h"), at("m1", "+0h"), at("m2", "+26h")];
    assert_eq!(codes(workers), [Some(0); 3]);
    assert_eq!(fleet.successes(&machines(3)).values().sum::<usize>(), 60);
    assert_eq!(fleet.renewals(), 60);
    // A machine whose clock is slow does not think that expired tokens from a fast one are still valid, nor the other
    // way round.
    fleet.stage.control("POST", "clock", r#"{"advance_seconds": 4000}"#);
    fleet.database.sql("UPDATE bbdl.enrollee SET ok = false, due_at = '-infinity', access_expires = access_expires - interval '4000 seconds'");
    assert_eq!(codes(vec![at("m3", "-26h"), at("m4", "+5h")]), [Some(0); 2]);
    assert_eq!(fleet.renewals(), 60);
}

#[test]
fn a_worker_that_is_asked_to_stop_gives_its_leases_back() {
    let Some(database) = database() else { return };
    let fleet = Fleet::of(database, 60, Setting { latency: Duration::from_millis(50), ..Setting::default() });
    let mut worker = fleet.start("m0");
    until("nobody was pulled", || fleet.ok() > 3);
    let pid = rustix::process::Pid::from_child(&worker);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(worker.wait().unwrap().code(), Some(130));
    let free = "SELECT count(*) FROM bbdl.enrollee WHERE leased_by IS NOT NULL OR renewing_since IS NOT NULL";
    assert_eq!(fleet.database.number(free), 0);
    assert_eq!(fleet.start("m1").wait().unwrap().code(), Some(0));
    assert_eq!((fleet.ok(), fleet.renewals()), (60, 60));
}

#[test]
fn withdrawn_consents_end_and_every_night_says_so() {
    let Some(database) = database() else { return };
    let fleet = Fleet::of(database, 20, Setting::default());
    fleet.stage.control("POST", "grants", r#"{"revoke": true, "percent": 10}"#);
    let output = finished(fleet.worker("m0", &[]));
    assert_code(&output, 77, &["first night"]);
    let ended = "SELECT count(*), min(ended_kind) FROM bbdl.enrollee WHERE ended_kind IS NOT NULL";
    assert_eq!(fleet.database.sql(ended), "2|grant_revoked");
    // The server is not asked about them again, and they do not count as fresh.
    fleet.stage.asked();
    for (more, code) in [(&["--json"][..], 77), (&["--json", "--tolerate", "77"], 0)] {
        let output = finished(fleet.worker("m0", more));
        assert_code(&output, code, &["second night"]);
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&told["run"]["failed"], &told["run"]["fresh"]), (&2.into(), &18.into()), "{told}");
        let error = &told["profiles"][0]["error"];
        assert_eq!(error["kind"], "grant_revoked", "{told}");
        assert!(error["hint"].as_str().unwrap().contains("profiles import"), "{told}");
    }
    assert!(fleet.stage.asked().is_empty());
    assert_eq!(fleet.database.sql(ended), "2|grant_revoked");

    let output = finished(fleet.bbdl("m1", &["status", "--json"]));
    let status: Value = serde_json::from_slice(&output.stdout).unwrap();
    let profiles = status["profiles"].as_array().unwrap();
    assert_eq!(profiles.len(), 20);
    assert_eq!(profiles.iter().filter(|row| row["ended"]["kind"] == "grant_revoked").count(), 2);
    assert_eq!(profiles.iter().filter(|row| row["archives"][0]["count"] == 2).count(), 18);
    assert!(profiles.iter().all(|row| row["token_store"] == "state"));
}
