//! A PostgreSQL for the tests: on a socket in a temporary directory. It ends with the process that started it.

use std::{
    io::{Read as _, Write as _},
    net::Shutdown,
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use tempfile::TempDir;

use super::needs::is_root;

/// A database server.
pub struct Cluster {
    dir: PathBuf,
    programs: PathBuf,
    /// Stops the server and removes its directory when its standard input ends, however this process ends.
    keeper: Child,
}

/// A database for one test.
#[derive(Clone)]
pub struct Database {
    dir: PathBuf,
    programs: PathBuf,
    name: String,
}

/// A PgBouncer in front of a database: many clients share a few sessions, each for one transaction at a time.
pub struct Pooler {
    dir: TempDir,
    process: Child,
}

impl Pooler {
    /// With this many sessions; `None` if PgBouncer is not installed.
    pub fn before(database: &Database, sessions: usize) -> Option<Self> {
        let program = Path::new("/usr/sbin/pgbouncer");
        if !program.is_file() {
            super::needs::package("pgbouncer");
            return None;
        }
        let dir = TempDir::with_prefix("pool").unwrap();
        let Database { dir: server, name, .. } = database;
        let config = format!(
            "[databases]\n{name} = host={server} user=bbdl\n[pgbouncer]\nlisten_addr =\nunix_socket_dir = {dir}\n\
             auth_type = any\npool_mode = transaction\ndefault_pool_size = {sessions}\nmax_client_conn = 200\n\
             logfile = {dir}/log\n",
            server = server.display(),
            dir = dir.path().display()
        );
        std::fs::write(dir.path().join("config"), config).unwrap();
        if let Some(owner) = owner() {
            std::os::unix::fs::chown(dir.path(), Some(owner), Some(owner)).unwrap();
        }
        let mut command = as_owner(program);
        command.arg("config").current_dir(dir.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().unwrap();
        let pooler = Self { dir, process };
        super::until("PgBouncer listens", || pooler.dir.path().join(".s.PGSQL.6432").exists());
        Some(pooler)
    }

    /// The address for `--state`.
    pub fn url(&self, database: &Database) -> String {
        format!("postgres://bbdl@/{}?host={}&port=6432", database.name, self.dir.path().display())
    }
}

/// A way to a database on which the answer to one statement is lost, and the connection with it.
pub struct LostAnswer {
    dir: TempDir,
    lost: Arc<AtomicBool>,
}

impl LostAnswer {
    /// Of the first statement with these words in it.
    pub fn before(database: &Database, words: &'static str) -> Self {
        let (dir, lost) = (TempDir::with_prefix("lost").unwrap(), Arc::new(AtomicBool::new(false)));
        let listener = UnixListener::bind(dir.path().join(".s.PGSQL.5432")).unwrap();
        let (server, has_lost) = (database.dir.join(".s.PGSQL.5432"), Arc::clone(&lost));
        std::thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                let (server, lost) = (UnixStream::connect(&server).unwrap(), Arc::clone(&has_lost));
                std::thread::spawn(move || pass_on(client, server, words.as_bytes(), &lost));
            }
        });
        Self { dir, lost }
    }

    /// For `--state`.
    pub fn url(&self, database: &Database) -> String {
        format!("postgres://bbdl@/{}?host={}", database.name, self.dir.path().display())
    }

    pub fn lost_one(&self) -> bool {
        self.lost.load(Ordering::SeqCst)
    }
}

/// Passes on what each side says, up to the answer that is to be lost.
fn pass_on(mut client: UnixStream, mut server: UnixStream, words: &[u8], lost: &AtomicBool) {
    /// How the server says that it has done everything it was asked for, outside of a transaction.
    const READY: &[u8] = b"Z\0\0\0\x05I";
    let mut answers = (server.try_clone().unwrap(), client.try_clone().unwrap());
    let keeps = Arc::new(AtomicBool::new(false));
    let holds_back = Arc::clone(&keeps);
    let back = std::thread::spawn(move || {
        let mut buffer = [0; 65536];
        while let Ok(length @ 1..) = answers.0.read(&mut buffer) {
            if !holds_back.load(Ordering::SeqCst) {
                let _ = answers.1.write_all(&buffer[..length]);
            } else if buffer[..length].ends_with(READY) {
                let _ = answers.1.shutdown(Shutdown::Both);
            }
        }
    });
    let mut buffer = [0; 65536];
    while let Ok(length @ 1..) = client.read(&mut buffer) {
        let said = &buffer[..length];
        if said.windows(words.len()).any(|part| part == words) && !lost.swap(true, Ordering::SeqCst) {
            keeps.store(true, Ordering::SeqCst);
        }
        let _ = server.write_all(said);
    }
    let _ = server.shutdown(Shutdown::Both);
    let _ = back.join();
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The directory of PostgreSQL's server programs, which on Debian is not in the PATH.
fn programs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    places.extend(versions.map(|version| version.path().join("bin")));
    let all =
        |place: &PathBuf| ["initdb", "pg_ctl", "psql", "pg_dump"].iter().all(|program| place.join(program).is_file());
    let found = places.into_iter().find(all);
    if found.is_none() {
        super::needs::package("postgresql");
    }
    found
}

/// A new database in the server that all tests share; `None` if PostgreSQL is not installed.
pub fn database() -> Option<Database> {
    static SHARED: OnceLock<Option<Cluster>> = OnceLock::new();
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Each test that cannot run has to be ignored, not only the first one.
    programs()?;
    let cluster = SHARED.get_or_init(Cluster::start).as_ref()?;
    Some(cluster.database(&format!("t{}", NEXT.fetch_add(1, Ordering::Relaxed))))
}

impl Cluster {
    /// Starts a server; `None` if PostgreSQL is not installed.
    pub fn start() -> Option<Self> {
        let programs = programs()?;
        let dir = TempDir::with_prefix("pg").unwrap().keep();
        if let Some(owner) = owner() {
            std::os::unix::fs::chown(&dir, Some(owner), Some(owner)).unwrap();
        }
        let keeper = keeper(&programs, &dir);
        let cluster = Self { dir, programs, keeper };
        cluster.must(&["initdb", "-N", "-A", "trust", "-U", "bbdl", "-D"]);
        let options = format!(
            "listen_addresses = ''\nunix_socket_directories = '{}'\nfsync = off\nshared_buffers = '16MB'\nmax_connections = 100\n",
            cluster.dir.display()
        );
        let config = cluster.data().join("postgresql.auto.conf");
        std::fs::write(config, options).unwrap();
        cluster.up();
        Some(cluster)
    }

    fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// Starts it again.
    pub fn up(&self) {
        self.must(&["pg_ctl", "-w", "-s", "-l", "log", "start", "-D"]);
    }

    /// Makes it listen on loopback too, with this certificate. It refuses connections there without TLS. Returns its
    /// port.
    pub fn listen_with_tls(&self, certificate: &str, key: &str) -> u16 {
        self.down();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        for (name, content) in [("server.crt", certificate), ("server.key", key)] {
            let path = self.data().join(name);
            std::fs::write(&path, content).unwrap();
            super::private(&path);
            if let Some(owner) = owner() {
                std::os::unix::fs::chown(&path, Some(owner), Some(owner)).unwrap();
            }
        }
        let config = self.data().join("postgresql.auto.conf");
        let more = format!("listen_addresses = '127.0.0.1'\nport = {port}\nssl = on\n");
        std::fs::write(&config, std::fs::read_to_string(&config).unwrap() + &more).unwrap();
        std::fs::write(self.data().join("pg_hba.conf"), "local all all trust\nhostssl all all all trust\n").unwrap();
        self.up();
        port
    }

    /// Stops it at once, like a crash.
    pub fn down(&self) {
        self.must(&["pg_ctl", "-w", "-s", "-m", "immediate", "stop", "-D"]);
    }

    fn must(&self, command: &[&str]) {
        let mut started = as_owner(&self.programs.join(command[0]));
        started.args(&command[1..]).arg(self.data()).current_dir(&self.dir).stdin(Stdio::null());
        // Files instead of pipes, because the server inherits them and keeps running.
        let log = std::fs::File::create(self.dir.join("said")).unwrap();
        started.stdout(log.try_clone().unwrap()).stderr(log);
        let status = started.status().unwrap();
        let said = std::fs::read_to_string(self.dir.join("said")).unwrap();
        assert!(status.success(), "{command:?}: {said}");
    }

    pub fn database(&self, name: &str) -> Database {
        let database =
            |name: &str| Database { dir: self.dir.clone(), programs: self.programs.clone(), name: name.to_owned() };
        database("postgres").sql(&format!("CREATE DATABASE {name}"));
        database(name)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

impl Database {
    /// The address for `--state`.
    pub fn url(&self) -> String {
        format!("postgres://bbdl@/{}?host={}", self.name, self.dir.display())
    }

    /// Runs SQL. Returns rows as lines, with `|` between columns.
    pub fn sql(&self, sql: &str) -> String {
        let output = self.try_sql(sql);
        assert!(output.status.success(), "{sql}: {}", super::text(&output.stderr));
        super::text(&output.stdout).trim_end().to_owned()
    }

    pub fn number(&self, sql: &str) -> u64 {
        self.sql(sql).parse().unwrap()
    }

    pub fn try_sql(&self, sql: &str) -> Output {
        self.client("psql").args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-c", sql]).output().unwrap()
    }

    /// Everything in it, as in a backup.
    pub fn dump(&self) -> String {
        super::text(&self.client("pg_dump").output().unwrap().stdout)
    }

    fn client(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.env_clear().env("PGHOST", &self.dir).env("PGUSER", "bbdl").env("PGDATABASE", &self.name);
        command.stdin(Stdio::null());
        command
    }
}

/// The user for the server if the tests run as root, because PostgreSQL refuses to run as root.
fn owner() -> Option<u32> {
    const NOBODY: u32 = 65_534;
    is_root().then_some(NOBODY)
}

fn as_owner(program: &Path) -> Command {
    use std::os::unix::process::CommandExt;
    let mut command = Command::new(program);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("LC_ALL", "C");
    if let Some(owner) = owner() {
        command.uid(owner).gid(owner);
    }
    command
}

fn keeper(programs: &Path, dir: &Path) -> Child {
    const SCRIPT: &str = "trap '' INT TERM HUP; echo; cat >/dev/null
        pid=$(head -n 1 \"$1/data/postmaster.pid\" 2>/dev/null) && kill -QUIT \"$pid\"
        while [ -e \"$1/data/postmaster.pid\" ] && kill -0 \"$pid\" 2>/dev/null; do sleep 0.05; done
        rm -rf -- \"$1\"";
    let mut command = Command::new("sh");
    command.args(["-c", SCRIPT, "sh"]).arg(dir).env_clear();
    command.env("PATH", format!("{}:/usr/bin:/bin", programs.display()));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    // Its signals are set when it prints this byte.
    child.stdout.take().unwrap().read_exact(&mut [0]).unwrap();
    child
}
