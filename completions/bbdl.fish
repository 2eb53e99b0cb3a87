# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_bbdl_global_optspecs
    string join \n profile= config= token-store= json q/quiet v/verbose no-progress no-input ca-cert= color= h/help V/version
end

function __fish_bbdl_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_bbdl_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_bbdl_using_subcommand
    set -l cmd (__fish_bbdl_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c bbdl -n "__fish_bbdl_needs_command" -l profile -d 'Which log-in to use' -r
complete -c bbdl -n "__fish_bbdl_needs_command" -l config -d 'Configuration file' -r -F
complete -c bbdl -n "__fish_bbdl_needs_command" -l token-store -d 'Where tokens are kept' -r -f -a "keyring\t'The system\'s keyring: Secret Service, macOS Keychain or Windows Credential Manager'
file\t'A file only its owner can read'
command\t'A program of yours: token_store_command in config.toml, or BBDL_TOKEN_STORE_COMMAND'"
complete -c bbdl -n "__fish_bbdl_needs_command" -l ca-cert -d 'Trust the certificates in this file (PEM) as well, as those of a proxy that looks into TLS' -r -F
complete -c bbdl -n "__fish_bbdl_needs_command" -l color -d 'When to use colours (NO_COLOR is honoured)' -r -f -a "auto\t'On a terminal that can, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c bbdl -n "__fish_bbdl_needs_command" -l json -d 'Print one machine-readable result on stdout'
complete -c bbdl -n "__fish_bbdl_needs_command" -s q -l quiet -d 'Say only what went wrong'
complete -c bbdl -n "__fish_bbdl_needs_command" -s v -l verbose -d 'Say more: every request; twice: every repetition as well'
complete -c bbdl -n "__fish_bbdl_needs_command" -l no-progress -d 'Show no progress'
complete -c bbdl -n "__fish_bbdl_needs_command" -l no-input -d 'Never ask anything'
complete -c bbdl -n "__fish_bbdl_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bbdl -n "__fish_bbdl_needs_command" -s V -l version -d 'Print version'
complete -c bbdl -n "__fish_bbdl_needs_command" -f -a "login" -d 'Log in at Blue Button, in the browser'
complete -c bbdl -n "__fish_bbdl_needs_command" -f -a "logout" -d 'End the log-in at the server and forget its tokens'
complete -c bbdl -n "__fish_bbdl_needs_command" -f -a "status" -d 'Show the log-ins of this machine and how long they last'
complete -c bbdl -n "__fish_bbdl_needs_command" -f -a "fetch" -d 'Bring claims and other resources home'
complete -c bbdl -n "__fish_bbdl_needs_command" -f -a "verify" -d 'Check that an archive is whole'
complete -c bbdl -n "__fish_bbdl_needs_command" -f -a "report" -d 'Make one page of claims for people: sums, pictures, every claim'
complete -c bbdl -n "__fish_bbdl_needs_command" -f -a "export" -d 'Write claims as tables: CSV, Parquet, SQLite'
complete -c bbdl -n "__fish_bbdl_needs_command" -f -a "doctor" -d 'Check this machine and its log-ins: what would go wrong, and what to do about it'
complete -c bbdl -n "__fish_bbdl_needs_command" -f -a "purge" -d 'Delete a log-in, its tokens and the archives filled with it'
complete -c bbdl -n "__fish_bbdl_needs_command" -f -a "mock" -d 'Run an offline Blue Button with made-up people'
complete -c bbdl -n "__fish_bbdl_needs_command" -f -a "demo" -d 'Show the whole job on made-up people: mock, log-in, fetch'
complete -c bbdl -n "__fish_bbdl_needs_command" -f -a "completions" -d 'Print the completions of a shell'
complete -c bbdl -n "__fish_bbdl_needs_command" -f -a "man" -d 'Write the man pages'
complete -c bbdl -n "__fish_bbdl_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c bbdl -n "__fish_bbdl_using_subcommand login" -l server -d 'Another server: scheme, host and port' -r -f
complete -c bbdl -n "__fish_bbdl_using_subcommand login" -l api -d 'API version [default: v2]' -r -f -a "v1\t'FHIR STU3'
v2\t'FHIR R4, CARIN Blue Button'
v3\t'FHIR R4, CARIN 2.x; a pilot'"
complete -c bbdl -n "__fish_bbdl_using_subcommand login" -l client-id -d 'The app\'s client id' -r
complete -c bbdl -n "__fish_bbdl_using_subcommand login" -l client-secret-file -d 'File with the app\'s client secret; - for standard input' -r -F
complete -c bbdl -n "__fish_bbdl_using_subcommand login" -l redirect-uri -d 'The redirect URI registered for the app [default: http://127.0.0.1/callback, on any free port]' -r
complete -c bbdl -n "__fish_bbdl_using_subcommand login" -l scope -d 'Ask for this scope (may be given several times) [default: all that bbdl can use]' -r
complete -c bbdl -n "__fish_bbdl_using_subcommand login" -l lang -d 'Language of CMS\'s pages' -r -f -a "en\t'English'
es\t'Spanish'"
complete -c bbdl -n "__fish_bbdl_using_subcommand login" -l timeout -d 'How long to wait for the log-in, in seconds [default: 300]' -r
complete -c bbdl -n "__fish_bbdl_using_subcommand login" -l profile -d 'Which log-in to use' -r
complete -c bbdl -n "__fish_bbdl_using_subcommand login" -l config -d 'Configuration file' -r -F
complete -c bbdl -n "__fish_bbdl_using_subcommand login" -l token-store -d 'Where tokens are kept' -r -f -a "keyring\t'The system\'s keyring: Secret Service, macOS Keychain or Windows Credential Manager'
file\t'A file only its owner can read'
command\t'A program of yours: token_store_command in config.toml, or BBDL_TOKEN_STORE_COMMAND'"
complete -c bbdl -n "__fish_bbdl_using_subcommand login" -l ca-cert -d 'Trust the certificates in this file (PEM) as well, as those of a proxy that looks into TLS' -r -F
complete -c bbdl -n "__fish_bbdl_using_subcommand login" -l color -d 'When to use colours (NO_COLOR is honoured)' -r -f -a "auto\t'On a terminal that can, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c bbdl -n "__fish_bbdl_using_subcommand login" -l sandbox -d 'CMS\'s sandbox (synthetic people)'
complete -c bbdl -n "__fish_bbdl_using_subcommand login" -l production -d 'CMS\'s production (real people); the default'
complete -c bbdl -n "__fish_bbdl_using_subcommand login" -l no-browser -d 'Do not open a browser; only print the address to visit'
complete -c bbdl -n "__fish_bbdl_using_subcommand login" -l manual -d 'Do not listen for the redirect; read the redirected address or the code from standard input'
complete -c bbdl -n "__fish_bbdl_using_subcommand login" -l json -d 'Print one machine-readable result on stdout'
complete -c bbdl -n "__fish_bbdl_using_subcommand login" -s q -l quiet -d 'Say only what went wrong'
complete -c bbdl -n "__fish_bbdl_using_subcommand login" -s v -l verbose -d 'Say more: every request; twice: every repetition as well'
complete -c bbdl -n "__fish_bbdl_using_subcommand login" -l no-progress -d 'Show no progress'
complete -c bbdl -n "__fish_bbdl_using_subcommand login" -l no-input -d 'Never ask anything'
complete -c bbdl -n "__fish_bbdl_using_subcommand login" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bbdl -n "__fish_bbdl_using_subcommand login" -s V -l version -d 'Print version'
complete -c bbdl -n "__fish_bbdl_using_subcommand logout" -l profile -d 'Which log-in to use' -r
complete -c bbdl -n "__fish_bbdl_using_subcommand logout" -l config -d 'Configuration file' -r -F
complete -c bbdl -n "__fish_bbdl_using_subcommand logout" -l token-store -d 'Where tokens are kept' -r -f -a "keyring\t'The system\'s keyring: Secret Service, macOS Keychain or Windows Credential Manager'
file\t'A file only its owner can read'
command\t'A program of yours: token_store_command in config.toml, or BBDL_TOKEN_STORE_COMMAND'"
complete -c bbdl -n "__fish_bbdl_using_subcommand logout" -l ca-cert -d 'Trust the certificates in this file (PEM) as well, as those of a proxy that looks into TLS' -r -F
complete -c bbdl -n "__fish_bbdl_using_subcommand logout" -l color -d 'When to use colours (NO_COLOR is honoured)' -r -f -a "auto\t'On a terminal that can, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c bbdl -n "__fish_bbdl_using_subcommand logout" -l local -d 'Only forget the tokens here; leave the grant at the server'
complete -c bbdl -n "__fish_bbdl_using_subcommand logout" -l json -d 'Print one machine-readable result on stdout'
complete -c bbdl -n "__fish_bbdl_using_subcommand logout" -s q -l quiet -d 'Say only what went wrong'
complete -c bbdl -n "__fish_bbdl_using_subcommand logout" -s v -l verbose -d 'Say more: every request; twice: every repetition as well'
complete -c bbdl -n "__fish_bbdl_using_subcommand logout" -l no-progress -d 'Show no progress'
complete -c bbdl -n "__fish_bbdl_using_subcommand logout" -l no-input -d 'Never ask anything'
complete -c bbdl -n "__fish_bbdl_using_subcommand logout" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bbdl -n "__fish_bbdl_using_subcommand logout" -s V -l version -d 'Print version'
complete -c bbdl -n "__fish_bbdl_using_subcommand status" -l profile -d 'Which log-in to use' -r
complete -c bbdl -n "__fish_bbdl_using_subcommand status" -l config -d 'Configuration file' -r -F
complete -c bbdl -n "__fish_bbdl_using_subcommand status" -l token-store -d 'Where tokens are kept' -r -f -a "keyring\t'The system\'s keyring: Secret Service, macOS Keychain or Windows Credential Manager'
file\t'A file only its owner can read'
command\t'A program of yours: token_store_command in config.toml, or BBDL_TOKEN_STORE_COMMAND'"
complete -c bbdl -n "__fish_bbdl_using_subcommand status" -l ca-cert -d 'Trust the certificates in this file (PEM) as well, as those of a proxy that looks into TLS' -r -F
complete -c bbdl -n "__fish_bbdl_using_subcommand status" -l color -d 'When to use colours (NO_COLOR is honoured)' -r -f -a "auto\t'On a terminal that can, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c bbdl -n "__fish_bbdl_using_subcommand status" -l online -d 'Ask the server as well whether each log-in still works'
complete -c bbdl -n "__fish_bbdl_using_subcommand status" -l json -d 'Print one machine-readable result on stdout'
complete -c bbdl -n "__fish_bbdl_using_subcommand status" -s q -l quiet -d 'Say only what went wrong'
complete -c bbdl -n "__fish_bbdl_using_subcommand status" -s v -l verbose -d 'Say more: every request; twice: every repetition as well'
complete -c bbdl -n "__fish_bbdl_using_subcommand status" -l no-progress -d 'Show no progress'
complete -c bbdl -n "__fish_bbdl_using_subcommand status" -l no-input -d 'Never ask anything'
complete -c bbdl -n "__fish_bbdl_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bbdl -n "__fish_bbdl_using_subcommand status" -s V -l version -d 'Print version'
complete -c bbdl -n "__fish_bbdl_using_subcommand fetch" -l out -d 'The archive\'s directory; - writes NDJSON to standard output' -r -f -a "(__fish_complete_directories)"
complete -c bbdl -n "__fish_bbdl_using_subcommand fetch" -l format -d 'How to keep it' -r -f -a "ndjson\t'One resource a line'
json\t'The same, and every Bundle as it was served in pages/'"
complete -c bbdl -n "__fish_bbdl_using_subcommand fetch" -l type -d 'Only claims of these types' -r -f -a "carrier\t'Doctors and other professionals'
dme\t'Durable medical equipment'
hha\t'Home health'
hospice\t'Hospice'
inpatient\t'Hospital stays'
outpatient\t'Hospital outpatient'
pde\t'Prescription drugs (Part D events)'
snf\t'Skilled nursing facilities'"
complete -c bbdl -n "__fish_bbdl_using_subcommand fetch" -l service-date -d 'Only claims with this service date: ge, gt, le or lt and a date; up to two' -r
complete -c bbdl -n "__fish_bbdl_using_subcommand fetch" -l last-updated -d 'Only what the server loaded then: ge, gt, le or lt and a date or instant; up to two' -r
complete -c bbdl -n "__fish_bbdl_using_subcommand fetch" -l source -d 'API v3: only claims from these sources' -r -f -a "nch\t'Adjudicated fee-for-service claims'
ddps\t'Part D events'
fiss\t'Partially adjudicated institutional claims'
mcs\t'Partially adjudicated professional claims'
vms\t'Partially adjudicated equipment claims'
cwf\t'Prior authorisations'"
complete -c bbdl -n "__fish_bbdl_using_subcommand fetch" -l page-size -d 'Resources a page' -r
complete -c bbdl -n "__fish_bbdl_using_subcommand fetch" -l jobs -d 'How many requests may be under way at once to a server, over all profiles; fewer while it is slow' -r
complete -c bbdl -n "__fish_bbdl_using_subcommand fetch" -l timeout -d 'How long one answer may take, to its last byte; CMS\'s own limit is 120 seconds' -r
complete -c bbdl -n "__fish_bbdl_using_subcommand fetch" -l retry -d 'How often to repeat a request that failed for a passing reason' -r
complete -c bbdl -n "__fish_bbdl_using_subcommand fetch" -l retry-delay -d 'The first pause before a repetition, in milliseconds; each later one is twice as long' -r
complete -c bbdl -n "__fish_bbdl_using_subcommand fetch" -l profile -d 'Which log-in to use' -r
complete -c bbdl -n "__fish_bbdl_using_subcommand fetch" -l config -d 'Configuration file' -r -F
complete -c bbdl -n "__fish_bbdl_using_subcommand fetch" -l token-store -d 'Where tokens are kept' -r -f -a "keyring\t'The system\'s keyring: Secret Service, macOS Keychain or Windows Credential Manager'
file\t'A file only its owner can read'
command\t'A program of yours: token_store_command in config.toml, or BBDL_TOKEN_STORE_COMMAND'"
complete -c bbdl -n "__fish_bbdl_using_subcommand fetch" -l ca-cert -d 'Trust the certificates in this file (PEM) as well, as those of a proxy that looks into TLS' -r -F
complete -c bbdl -n "__fish_bbdl_using_subcommand fetch" -l color -d 'When to use colours (NO_COLOR is honoured)' -r -f -a "auto\t'On a terminal that can, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c bbdl -n "__fish_bbdl_using_subcommand fetch" -l full -d 'Fetch everything again, not only what is new, and drop what the server no longer has'
complete -c bbdl -n "__fish_bbdl_using_subcommand fetch" -l all-profiles -d 'Fetch for every profile, each into a directory of its own below DIR'
complete -c bbdl -n "__fish_bbdl_using_subcommand fetch" -l json -d 'Print one machine-readable result on stdout'
complete -c bbdl -n "__fish_bbdl_using_subcommand fetch" -s q -l quiet -d 'Say only what went wrong'
complete -c bbdl -n "__fish_bbdl_using_subcommand fetch" -s v -l verbose -d 'Say more: every request; twice: every repetition as well'
complete -c bbdl -n "__fish_bbdl_using_subcommand fetch" -l no-progress -d 'Show no progress'
complete -c bbdl -n "__fish_bbdl_using_subcommand fetch" -l no-input -d 'Never ask anything'
complete -c bbdl -n "__fish_bbdl_using_subcommand fetch" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bbdl -n "__fish_bbdl_using_subcommand fetch" -s V -l version -d 'Print version'
complete -c bbdl -n "__fish_bbdl_using_subcommand verify" -l profile -d 'Which log-in to use' -r
complete -c bbdl -n "__fish_bbdl_using_subcommand verify" -l config -d 'Configuration file' -r -F
complete -c bbdl -n "__fish_bbdl_using_subcommand verify" -l token-store -d 'Where tokens are kept' -r -f -a "keyring\t'The system\'s keyring: Secret Service, macOS Keychain or Windows Credential Manager'
file\t'A file only its owner can read'
command\t'A program of yours: token_store_command in config.toml, or BBDL_TOKEN_STORE_COMMAND'"
complete -c bbdl -n "__fish_bbdl_using_subcommand verify" -l ca-cert -d 'Trust the certificates in this file (PEM) as well, as those of a proxy that looks into TLS' -r -F
complete -c bbdl -n "__fish_bbdl_using_subcommand verify" -l color -d 'When to use colours (NO_COLOR is honoured)' -r -f -a "auto\t'On a terminal that can, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c bbdl -n "__fish_bbdl_using_subcommand verify" -l json -d 'Print one machine-readable result on stdout'
complete -c bbdl -n "__fish_bbdl_using_subcommand verify" -s q -l quiet -d 'Say only what went wrong'
complete -c bbdl -n "__fish_bbdl_using_subcommand verify" -s v -l verbose -d 'Say more: every request; twice: every repetition as well'
complete -c bbdl -n "__fish_bbdl_using_subcommand verify" -l no-progress -d 'Show no progress'
complete -c bbdl -n "__fish_bbdl_using_subcommand verify" -l no-input -d 'Never ask anything'
complete -c bbdl -n "__fish_bbdl_using_subcommand verify" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bbdl -n "__fish_bbdl_using_subcommand verify" -s V -l version -d 'Print version'
complete -c bbdl -n "__fish_bbdl_using_subcommand report" -s o -l output -d 'Where the page goes; a file of that name is replaced' -r -F
complete -c bbdl -n "__fish_bbdl_using_subcommand report" -l profile -d 'Which log-in to use' -r
complete -c bbdl -n "__fish_bbdl_using_subcommand report" -l config -d 'Configuration file' -r -F
complete -c bbdl -n "__fish_bbdl_using_subcommand report" -l token-store -d 'Where tokens are kept' -r -f -a "keyring\t'The system\'s keyring: Secret Service, macOS Keychain or Windows Credential Manager'
file\t'A file only its owner can read'
command\t'A program of yours: token_store_command in config.toml, or BBDL_TOKEN_STORE_COMMAND'"
complete -c bbdl -n "__fish_bbdl_using_subcommand report" -l ca-cert -d 'Trust the certificates in this file (PEM) as well, as those of a proxy that looks into TLS' -r -F
complete -c bbdl -n "__fish_bbdl_using_subcommand report" -l color -d 'When to use colours (NO_COLOR is honoured)' -r -f -a "auto\t'On a terminal that can, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c bbdl -n "__fish_bbdl_using_subcommand report" -l json -d 'Print one machine-readable result on stdout'
complete -c bbdl -n "__fish_bbdl_using_subcommand report" -s q -l quiet -d 'Say only what went wrong'
complete -c bbdl -n "__fish_bbdl_using_subcommand report" -s v -l verbose -d 'Say more: every request; twice: every repetition as well'
complete -c bbdl -n "__fish_bbdl_using_subcommand report" -l no-progress -d 'Show no progress'
complete -c bbdl -n "__fish_bbdl_using_subcommand report" -l no-input -d 'Never ask anything'
complete -c bbdl -n "__fish_bbdl_using_subcommand report" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bbdl -n "__fish_bbdl_using_subcommand report" -s V -l version -d 'Print version'
complete -c bbdl -n "__fish_bbdl_using_subcommand export" -l to -d 'What to write' -r -f -a "csv\t'`claims.csv` and `lines.csv` in a directory'
parquet\t'`claims.parquet` and `lines.parquet` in a directory'
sqlite\t'One file with the tables `claims` and `lines`'"
complete -c bbdl -n "__fish_bbdl_using_subcommand export" -s o -l output -d 'csv and parquet: the directory for both tables; sqlite: the file. What has these names is replaced' -r -F
complete -c bbdl -n "__fish_bbdl_using_subcommand export" -l profile -d 'Which log-in to use' -r
complete -c bbdl -n "__fish_bbdl_using_subcommand export" -l config -d 'Configuration file' -r -F
complete -c bbdl -n "__fish_bbdl_using_subcommand export" -l token-store -d 'Where tokens are kept' -r -f -a "keyring\t'The system\'s keyring: Secret Service, macOS Keychain or Windows Credential Manager'
file\t'A file only its owner can read'
command\t'A program of yours: token_store_command in config.toml, or BBDL_TOKEN_STORE_COMMAND'"
complete -c bbdl -n "__fish_bbdl_using_subcommand export" -l ca-cert -d 'Trust the certificates in this file (PEM) as well, as those of a proxy that looks into TLS' -r -F
complete -c bbdl -n "__fish_bbdl_using_subcommand export" -l color -d 'When to use colours (NO_COLOR is honoured)' -r -f -a "auto\t'On a terminal that can, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c bbdl -n "__fish_bbdl_using_subcommand export" -l json -d 'Print one machine-readable result on stdout'
complete -c bbdl -n "__fish_bbdl_using_subcommand export" -s q -l quiet -d 'Say only what went wrong'
complete -c bbdl -n "__fish_bbdl_using_subcommand export" -s v -l verbose -d 'Say more: every request; twice: every repetition as well'
complete -c bbdl -n "__fish_bbdl_using_subcommand export" -l no-progress -d 'Show no progress'
complete -c bbdl -n "__fish_bbdl_using_subcommand export" -l no-input -d 'Never ask anything'
complete -c bbdl -n "__fish_bbdl_using_subcommand export" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bbdl -n "__fish_bbdl_using_subcommand export" -s V -l version -d 'Print version'
complete -c bbdl -n "__fish_bbdl_using_subcommand doctor" -l profile -d 'Which log-in to use' -r
complete -c bbdl -n "__fish_bbdl_using_subcommand doctor" -l config -d 'Configuration file' -r -F
complete -c bbdl -n "__fish_bbdl_using_subcommand doctor" -l token-store -d 'Where tokens are kept' -r -f -a "keyring\t'The system\'s keyring: Secret Service, macOS Keychain or Windows Credential Manager'
file\t'A file only its owner can read'
command\t'A program of yours: token_store_command in config.toml, or BBDL_TOKEN_STORE_COMMAND'"
complete -c bbdl -n "__fish_bbdl_using_subcommand doctor" -l ca-cert -d 'Trust the certificates in this file (PEM) as well, as those of a proxy that looks into TLS' -r -F
complete -c bbdl -n "__fish_bbdl_using_subcommand doctor" -l color -d 'When to use colours (NO_COLOR is honoured)' -r -f -a "auto\t'On a terminal that can, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c bbdl -n "__fish_bbdl_using_subcommand doctor" -l json -d 'Print one machine-readable result on stdout'
complete -c bbdl -n "__fish_bbdl_using_subcommand doctor" -s q -l quiet -d 'Say only what went wrong'
complete -c bbdl -n "__fish_bbdl_using_subcommand doctor" -s v -l verbose -d 'Say more: every request; twice: every repetition as well'
complete -c bbdl -n "__fish_bbdl_using_subcommand doctor" -l no-progress -d 'Show no progress'
complete -c bbdl -n "__fish_bbdl_using_subcommand doctor" -l no-input -d 'Never ask anything'
complete -c bbdl -n "__fish_bbdl_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bbdl -n "__fish_bbdl_using_subcommand doctor" -s V -l version -d 'Print version'
complete -c bbdl -n "__fish_bbdl_using_subcommand purge" -l profile -d 'Which log-in to use' -r
complete -c bbdl -n "__fish_bbdl_using_subcommand purge" -l config -d 'Configuration file' -r -F
complete -c bbdl -n "__fish_bbdl_using_subcommand purge" -l token-store -d 'Where tokens are kept' -r -f -a "keyring\t'The system\'s keyring: Secret Service, macOS Keychain or Windows Credential Manager'
file\t'A file only its owner can read'
command\t'A program of yours: token_store_command in config.toml, or BBDL_TOKEN_STORE_COMMAND'"
complete -c bbdl -n "__fish_bbdl_using_subcommand purge" -l ca-cert -d 'Trust the certificates in this file (PEM) as well, as those of a proxy that looks into TLS' -r -F
complete -c bbdl -n "__fish_bbdl_using_subcommand purge" -l color -d 'When to use colours (NO_COLOR is honoured)' -r -f -a "auto\t'On a terminal that can, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c bbdl -n "__fish_bbdl_using_subcommand purge" -l yes -d 'Do not ask'
complete -c bbdl -n "__fish_bbdl_using_subcommand purge" -l all-profiles -d 'Every profile of this machine, instead of one'
complete -c bbdl -n "__fish_bbdl_using_subcommand purge" -l json -d 'Print one machine-readable result on stdout'
complete -c bbdl -n "__fish_bbdl_using_subcommand purge" -s q -l quiet -d 'Say only what went wrong'
complete -c bbdl -n "__fish_bbdl_using_subcommand purge" -s v -l verbose -d 'Say more: every request; twice: every repetition as well'
complete -c bbdl -n "__fish_bbdl_using_subcommand purge" -l no-progress -d 'Show no progress'
complete -c bbdl -n "__fish_bbdl_using_subcommand purge" -l no-input -d 'Never ask anything'
complete -c bbdl -n "__fish_bbdl_using_subcommand purge" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bbdl -n "__fish_bbdl_using_subcommand purge" -s V -l version -d 'Print version'
complete -c bbdl -n "__fish_bbdl_using_subcommand mock" -l port -d 'Port on 127.0.0.1; 0 for a free one' -r
complete -c bbdl -n "__fish_bbdl_using_subcommand mock" -l claims -d 'Claims of each enrollee' -r
complete -c bbdl -n "__fish_bbdl_using_subcommand mock" -l enrollees -d 'Number of enrollees' -r
complete -c bbdl -n "__fish_bbdl_using_subcommand mock" -l seed -d 'Other people, other claims, other credentials' -r
complete -c bbdl -n "__fish_bbdl_using_subcommand mock" -l data -d 'Serve the FHIR payloads found in this directory instead' -r -f -a "(__fish_complete_directories)"
complete -c bbdl -n "__fish_bbdl_using_subcommand mock" -l latency -d 'Answer this much later' -r
complete -c bbdl -n "__fish_bbdl_using_subcommand mock" -l access -d 'What kind of access the app has' -r -f -a "one-time\t'As long as one access token lives'
thirteen-month\t'13 months'
research\t'Until revoked'"
complete -c bbdl -n "__fish_bbdl_using_subcommand mock" -l fault -d 'Misbehave (may be given several times); see docs/mock.md' -r
complete -c bbdl -n "__fish_bbdl_using_subcommand mock" -l profile -d 'Which log-in to use' -r
complete -c bbdl -n "__fish_bbdl_using_subcommand mock" -l config -d 'Configuration file' -r -F
complete -c bbdl -n "__fish_bbdl_using_subcommand mock" -l token-store -d 'Where tokens are kept' -r -f -a "keyring\t'The system\'s keyring: Secret Service, macOS Keychain or Windows Credential Manager'
file\t'A file only its owner can read'
command\t'A program of yours: token_store_command in config.toml, or BBDL_TOKEN_STORE_COMMAND'"
complete -c bbdl -n "__fish_bbdl_using_subcommand mock" -l ca-cert -d 'Trust the certificates in this file (PEM) as well, as those of a proxy that looks into TLS' -r -F
complete -c bbdl -n "__fish_bbdl_using_subcommand mock" -l color -d 'When to use colours (NO_COLOR is honoured)' -r -f -a "auto\t'On a terminal that can, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c bbdl -n "__fish_bbdl_using_subcommand mock" -l auto-consent -d 'Let a plain GET finish a log-in, without pages'
complete -c bbdl -n "__fish_bbdl_using_subcommand mock" -l json -d 'Print one machine-readable result on stdout'
complete -c bbdl -n "__fish_bbdl_using_subcommand mock" -s q -l quiet -d 'Say only what went wrong'
complete -c bbdl -n "__fish_bbdl_using_subcommand mock" -s v -l verbose -d 'Say more: every request; twice: every repetition as well'
complete -c bbdl -n "__fish_bbdl_using_subcommand mock" -l no-progress -d 'Show no progress'
complete -c bbdl -n "__fish_bbdl_using_subcommand mock" -l no-input -d 'Never ask anything'
complete -c bbdl -n "__fish_bbdl_using_subcommand mock" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bbdl -n "__fish_bbdl_using_subcommand mock" -s V -l version -d 'Print version'
complete -c bbdl -n "__fish_bbdl_using_subcommand demo" -l out -d 'Where the archive goes' -r -f -a "(__fish_complete_directories)"
complete -c bbdl -n "__fish_bbdl_using_subcommand demo" -l profile -d 'Which log-in to use' -r
complete -c bbdl -n "__fish_bbdl_using_subcommand demo" -l config -d 'Configuration file' -r -F
complete -c bbdl -n "__fish_bbdl_using_subcommand demo" -l token-store -d 'Where tokens are kept' -r -f -a "keyring\t'The system\'s keyring: Secret Service, macOS Keychain or Windows Credential Manager'
file\t'A file only its owner can read'
command\t'A program of yours: token_store_command in config.toml, or BBDL_TOKEN_STORE_COMMAND'"
complete -c bbdl -n "__fish_bbdl_using_subcommand demo" -l ca-cert -d 'Trust the certificates in this file (PEM) as well, as those of a proxy that looks into TLS' -r -F
complete -c bbdl -n "__fish_bbdl_using_subcommand demo" -l color -d 'When to use colours (NO_COLOR is honoured)' -r -f -a "auto\t'On a terminal that can, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c bbdl -n "__fish_bbdl_using_subcommand demo" -l json -d 'Print one machine-readable result on stdout'
complete -c bbdl -n "__fish_bbdl_using_subcommand demo" -s q -l quiet -d 'Say only what went wrong'
complete -c bbdl -n "__fish_bbdl_using_subcommand demo" -s v -l verbose -d 'Say more: every request; twice: every repetition as well'
complete -c bbdl -n "__fish_bbdl_using_subcommand demo" -l no-progress -d 'Show no progress'
complete -c bbdl -n "__fish_bbdl_using_subcommand demo" -l no-input -d 'Never ask anything'
complete -c bbdl -n "__fish_bbdl_using_subcommand demo" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bbdl -n "__fish_bbdl_using_subcommand demo" -s V -l version -d 'Print version'
complete -c bbdl -n "__fish_bbdl_using_subcommand completions" -l profile -d 'Which log-in to use' -r
complete -c bbdl -n "__fish_bbdl_using_subcommand completions" -l config -d 'Configuration file' -r -F
complete -c bbdl -n "__fish_bbdl_using_subcommand completions" -l token-store -d 'Where tokens are kept' -r -f -a "keyring\t'The system\'s keyring: Secret Service, macOS Keychain or Windows Credential Manager'
file\t'A file only its owner can read'
command\t'A program of yours: token_store_command in config.toml, or BBDL_TOKEN_STORE_COMMAND'"
complete -c bbdl -n "__fish_bbdl_using_subcommand completions" -l ca-cert -d 'Trust the certificates in this file (PEM) as well, as those of a proxy that looks into TLS' -r -F
complete -c bbdl -n "__fish_bbdl_using_subcommand completions" -l color -d 'When to use colours (NO_COLOR is honoured)' -r -f -a "auto\t'On a terminal that can, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c bbdl -n "__fish_bbdl_using_subcommand completions" -l json -d 'Print one machine-readable result on stdout'
complete -c bbdl -n "__fish_bbdl_using_subcommand completions" -s q -l quiet -d 'Say only what went wrong'
complete -c bbdl -n "__fish_bbdl_using_subcommand completions" -s v -l verbose -d 'Say more: every request; twice: every repetition as well'
complete -c bbdl -n "__fish_bbdl_using_subcommand completions" -l no-progress -d 'Show no progress'
complete -c bbdl -n "__fish_bbdl_using_subcommand completions" -l no-input -d 'Never ask anything'
complete -c bbdl -n "__fish_bbdl_using_subcommand completions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bbdl -n "__fish_bbdl_using_subcommand completions" -s V -l version -d 'Print version'
complete -c bbdl -n "__fish_bbdl_using_subcommand man" -l profile -d 'Which log-in to use' -r
complete -c bbdl -n "__fish_bbdl_using_subcommand man" -l config -d 'Configuration file' -r -F
complete -c bbdl -n "__fish_bbdl_using_subcommand man" -l token-store -d 'Where tokens are kept' -r -f -a "keyring\t'The system\'s keyring: Secret Service, macOS Keychain or Windows Credential Manager'
file\t'A file only its owner can read'
command\t'A program of yours: token_store_command in config.toml, or BBDL_TOKEN_STORE_COMMAND'"
complete -c bbdl -n "__fish_bbdl_using_subcommand man" -l ca-cert -d 'Trust the certificates in this file (PEM) as well, as those of a proxy that looks into TLS' -r -F
complete -c bbdl -n "__fish_bbdl_using_subcommand man" -l color -d 'When to use colours (NO_COLOR is honoured)' -r -f -a "auto\t'On a terminal that can, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c bbdl -n "__fish_bbdl_using_subcommand man" -l json -d 'Print one machine-readable result on stdout'
complete -c bbdl -n "__fish_bbdl_using_subcommand man" -s q -l quiet -d 'Say only what went wrong'
complete -c bbdl -n "__fish_bbdl_using_subcommand man" -s v -l verbose -d 'Say more: every request; twice: every repetition as well'
complete -c bbdl -n "__fish_bbdl_using_subcommand man" -l no-progress -d 'Show no progress'
complete -c bbdl -n "__fish_bbdl_using_subcommand man" -l no-input -d 'Never ask anything'
complete -c bbdl -n "__fish_bbdl_using_subcommand man" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bbdl -n "__fish_bbdl_using_subcommand man" -s V -l version -d 'Print version'
complete -c bbdl -n "__fish_bbdl_using_subcommand help; and not __fish_seen_subcommand_from login logout status fetch verify report export doctor purge mock demo completions man help" -f -a "login" -d 'Log in at Blue Button, in the browser'
complete -c bbdl -n "__fish_bbdl_using_subcommand help; and not __fish_seen_subcommand_from login logout status fetch verify report export doctor purge mock demo completions man help" -f -a "logout" -d 'End the log-in at the server and forget its tokens'
complete -c bbdl -n "__fish_bbdl_using_subcommand help; and not __fish_seen_subcommand_from login logout status fetch verify report export doctor purge mock demo completions man help" -f -a "status" -d 'Show the log-ins of this machine and how long they last'
complete -c bbdl -n "__fish_bbdl_using_subcommand help; and not __fish_seen_subcommand_from login logout status fetch verify report export doctor purge mock demo completions man help" -f -a "fetch" -d 'Bring claims and other resources home'
complete -c bbdl -n "__fish_bbdl_using_subcommand help; and not __fish_seen_subcommand_from login logout status fetch verify report export doctor purge mock demo completions man help" -f -a "verify" -d 'Check that an archive is whole'
complete -c bbdl -n "__fish_bbdl_using_subcommand help; and not __fish_seen_subcommand_from login logout status fetch verify report export doctor purge mock demo completions man help" -f -a "report" -d 'Make one page of claims for people: sums, pictures, every claim'
complete -c bbdl -n "__fish_bbdl_using_subcommand help; and not __fish_seen_subcommand_from login logout status fetch verify report export doctor purge mock demo completions man help" -f -a "export" -d 'Write claims as tables: CSV, Parquet, SQLite'
complete -c bbdl -n "__fish_bbdl_using_subcommand help; and not __fish_seen_subcommand_from login logout status fetch verify report export doctor purge mock demo completions man help" -f -a "doctor" -d 'Check this machine and its log-ins: what would go wrong, and what to do about it'
complete -c bbdl -n "__fish_bbdl_using_subcommand help; and not __fish_seen_subcommand_from login logout status fetch verify report export doctor purge mock demo completions man help" -f -a "purge" -d 'Delete a log-in, its tokens and the archives filled with it'
complete -c bbdl -n "__fish_bbdl_using_subcommand help; and not __fish_seen_subcommand_from login logout status fetch verify report export doctor purge mock demo completions man help" -f -a "mock" -d 'Run an offline Blue Button with made-up people'
complete -c bbdl -n "__fish_bbdl_using_subcommand help; and not __fish_seen_subcommand_from login logout status fetch verify report export doctor purge mock demo completions man help" -f -a "demo" -d 'Show the whole job on made-up people: mock, log-in, fetch'
complete -c bbdl -n "__fish_bbdl_using_subcommand help; and not __fish_seen_subcommand_from login logout status fetch verify report export doctor purge mock demo completions man help" -f -a "completions" -d 'Print the completions of a shell'
complete -c bbdl -n "__fish_bbdl_using_subcommand help; and not __fish_seen_subcommand_from login logout status fetch verify report export doctor purge mock demo completions man help" -f -a "man" -d 'Write the man pages'
complete -c bbdl -n "__fish_bbdl_using_subcommand help; and not __fish_seen_subcommand_from login logout status fetch verify report export doctor purge mock demo completions man help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
