
use builtin;
use str;

set edit:completion:arg-completer[bbdl] = {|@words|
    fn spaces {|n|
        builtin:repeat $n ' ' | str:join ''
    }
    fn cand {|text desc|
        edit:complex-candidate $text &display=$text' '(spaces (- 14 (wcswidth $text)))$desc
    }
    var command = 'bbdl'
    for word $words[1..-1] {
        if (str:has-prefix $word '-') {
            break
        }
        set command = $command';'$word
    }
    var completions = [
        &'bbdl'= {
            cand --profile 'Which log-in to use'
            cand --config 'Configuration file'
            cand --token-store 'Where tokens are kept'
            cand --ca-cert 'Trust the certificates in this file (PEM) as well, as those of a proxy that looks into TLS'
            cand --color 'When to use colours (NO_COLOR is honoured)'
            cand --json 'Print one machine-readable result on stdout'
            cand -q 'Say only what went wrong'
            cand --quiet 'Say only what went wrong'
            cand -v 'Say more: every request; twice: every repetition as well'
            cand --verbose 'Say more: every request; twice: every repetition as well'
            cand --no-progress 'Show no progress'
            cand --no-input 'Never ask anything'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
            cand login 'Log in at Blue Button, in the browser'
            cand logout 'End the log-in at the server and forget its tokens'
            cand status 'Show the log-ins of this machine and how long they last'
            cand fetch 'Bring claims and other resources home'
            cand verify 'Check that an archive is whole'
            cand report 'Make one page of claims for people: sums, pictures, every claim'
            cand export 'Write claims as tables: CSV, Parquet, SQLite'
            cand doctor 'Check this machine and its log-ins: what would go wrong, and what to do about it'
            cand purge 'Delete a log-in, its tokens and the archives filled with it'
            cand mock 'Run an offline Blue Button with made-up people'
            cand demo 'Show the whole job on made-up people: mock, log-in, fetch'
            cand completions 'Print the completions of a shell'
            cand man 'Write the man pages'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'bbdl;login'= {
            cand --server 'Another server: scheme, host and port'
            cand --api 'API version [default: v2]'
            cand --client-id 'The app''s client id'
            cand --client-secret-file 'File with the app''s client secret; - for standard input'
            cand --redirect-uri 'The redirect URI registered for the app [default: http://127.0.0.1/callback, on any free port]'
            cand --scope 'Ask for this scope (may be given several times) [default: all that bbdl can use]'
            cand --lang 'Language of CMS''s pages'
            cand --timeout 'How long to wait for the log-in, in seconds [default: 300]'
            cand --profile 'Which log-in to use'
            cand --config 'Configuration file'
            cand --token-store 'Where tokens are kept'
            cand --ca-cert 'Trust the certificates in this file (PEM) as well, as those of a proxy that looks into TLS'
            cand --color 'When to use colours (NO_COLOR is honoured)'
            cand --sandbox 'CMS''s sandbox (synthetic people)'
            cand --production 'CMS''s production (real people); the default'
            cand --no-browser 'Do not open a browser; only print the address to visit'
            cand --manual 'Do not listen for the redirect; read the redirected address or the code from standard input'
            cand --json 'Print one machine-readable result on stdout'
            cand -q 'Say only what went wrong'
            cand --quiet 'Say only what went wrong'
            cand -v 'Say more: every request; twice: every repetition as well'
            cand --verbose 'Say more: every request; twice: every repetition as well'
            cand --no-progress 'Show no progress'
            cand --no-input 'Never ask anything'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'bbdl;logout'= {
            cand --profile 'Which log-in to use'
            cand --config 'Configuration file'
            cand --token-store 'Where tokens are kept'
            cand --ca-cert 'Trust the certificates in this file (PEM) as well, as those of a proxy that looks into TLS'
            cand --color 'When to use colours (NO_COLOR is honoured)'
            cand --local 'Only forget the tokens here; leave the grant at the server'
            cand --json 'Print one machine-readable result on stdout'
            cand -q 'Say only what went wrong'
            cand --quiet 'Say only what went wrong'
            cand -v 'Say more: every request; twice: every repetition as well'
            cand --verbose 'Say more: every request; twice: every repetition as well'
            cand --no-progress 'Show no progress'
            cand --no-input 'Never ask anything'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'bbdl;status'= {
            cand --profile 'Which log-in to use'
            cand --config 'Configuration file'
            cand --token-store 'Where tokens are kept'
            cand --ca-cert 'Trust the certificates in this file (PEM) as well, as those of a proxy that looks into TLS'
            cand --color 'When to use colours (NO_COLOR is honoured)'
            cand --online 'Ask the server as well whether each log-in still works'
            cand --json 'Print one machine-readable result on stdout'
            cand -q 'Say only what went wrong'
            cand --quiet 'Say only what went wrong'
            cand -v 'Say more: every request; twice: every repetition as well'
            cand --verbose 'Say more: every request; twice: every repetition as well'
            cand --no-progress 'Show no progress'
            cand --no-input 'Never ask anything'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'bbdl;fetch'= {
            cand --out 'The archive''s directory; - writes NDJSON to standard output'
            cand --format 'How to keep it'
            cand --type 'Only claims of these types'
            cand --service-date 'Only claims with this service date: ge, gt, le or lt and a date; up to two'
            cand --last-updated 'Only what the server loaded then: ge, gt, le or lt and a date or instant; up to two'
            cand --source 'API v3: only claims from these sources'
            cand --page-size 'Resources a page'
            cand --jobs 'How many requests may be under way at once to a server, over all profiles; fewer while it is slow'
            cand --timeout 'How long one answer may take, to its last byte; CMS''s own limit is 120 seconds'
            cand --retry 'How often to repeat a request that failed for a passing reason'
            cand --retry-delay 'The first pause before a repetition, in milliseconds; each later one is twice as long'
            cand --profile 'Which log-in to use'
            cand --config 'Configuration file'
            cand --token-store 'Where tokens are kept'
            cand --ca-cert 'Trust the certificates in this file (PEM) as well, as those of a proxy that looks into TLS'
            cand --color 'When to use colours (NO_COLOR is honoured)'
            cand --full 'Fetch everything again, not only what is new, and drop what the server no longer has'
            cand --all-profiles 'Fetch for every profile, each into a directory of its own below DIR'
            cand --json 'Print one machine-readable result on stdout'
            cand -q 'Say only what went wrong'
            cand --quiet 'Say only what went wrong'
            cand -v 'Say more: every request; twice: every repetition as well'
            cand --verbose 'Say more: every request; twice: every repetition as well'
            cand --no-progress 'Show no progress'
            cand --no-input 'Never ask anything'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'bbdl;verify'= {
            cand --profile 'Which log-in to use'
            cand --config 'Configuration file'
            cand --token-store 'Where tokens are kept'
            cand --ca-cert 'Trust the certificates in this file (PEM) as well, as those of a proxy that looks into TLS'
            cand --color 'When to use colours (NO_COLOR is honoured)'
            cand --json 'Print one machine-readable result on stdout'
            cand -q 'Say only what went wrong'
            cand --quiet 'Say only what went wrong'
            cand -v 'Say more: every request; twice: every repetition as well'
            cand --verbose 'Say more: every request; twice: every repetition as well'
            cand --no-progress 'Show no progress'
            cand --no-input 'Never ask anything'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'bbdl;report'= {
            cand -o 'Where the page goes; a file of that name is replaced'
            cand --output 'Where the page goes; a file of that name is replaced'
            cand --profile 'Which log-in to use'
            cand --config 'Configuration file'
            cand --token-store 'Where tokens are kept'
            cand --ca-cert 'Trust the certificates in this file (PEM) as well, as those of a proxy that looks into TLS'
            cand --color 'When to use colours (NO_COLOR is honoured)'
            cand --json 'Print one machine-readable result on stdout'
            cand -q 'Say only what went wrong'
            cand --quiet 'Say only what went wrong'
            cand -v 'Say more: every request; twice: every repetition as well'
            cand --verbose 'Say more: every request; twice: every repetition as well'
            cand --no-progress 'Show no progress'
            cand --no-input 'Never ask anything'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'bbdl;export'= {
            cand --to 'What to write'
            cand -o 'csv and parquet: the directory for both tables; sqlite: the file. What has these names is replaced'
            cand --output 'csv and parquet: the directory for both tables; sqlite: the file. What has these names is replaced'
            cand --profile 'Which log-in to use'
            cand --config 'Configuration file'
            cand --token-store 'Where tokens are kept'
            cand --ca-cert 'Trust the certificates in this file (PEM) as well, as those of a proxy that looks into TLS'
            cand --color 'When to use colours (NO_COLOR is honoured)'
            cand --json 'Print one machine-readable result on stdout'
            cand -q 'Say only what went wrong'
            cand --quiet 'Say only what went wrong'
            cand -v 'Say more: every request; twice: every repetition as well'
            cand --verbose 'Say more: every request; twice: every repetition as well'
            cand --no-progress 'Show no progress'
            cand --no-input 'Never ask anything'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'bbdl;doctor'= {
            cand --profile 'Which log-in to use'
            cand --config 'Configuration file'
            cand --token-store 'Where tokens are kept'
            cand --ca-cert 'Trust the certificates in this file (PEM) as well, as those of a proxy that looks into TLS'
            cand --color 'When to use colours (NO_COLOR is honoured)'
            cand --json 'Print one machine-readable result on stdout'
            cand -q 'Say only what went wrong'
            cand --quiet 'Say only what went wrong'
            cand -v 'Say more: every request; twice: every repetition as well'
            cand --verbose 'Say more: every request; twice: every repetition as well'
            cand --no-progress 'Show no progress'
            cand --no-input 'Never ask anything'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'bbdl;purge'= {
            cand --profile 'Which log-in to use'
            cand --config 'Configuration file'
            cand --token-store 'Where tokens are kept'
            cand --ca-cert 'Trust the certificates in this file (PEM) as well, as those of a proxy that looks into TLS'
            cand --color 'When to use colours (NO_COLOR is honoured)'
            cand --yes 'Do not ask'
            cand --all-profiles 'Every profile of this machine, instead of one'
            cand --json 'Print one machine-readable result on stdout'
            cand -q 'Say only what went wrong'
            cand --quiet 'Say only what went wrong'
            cand -v 'Say more: every request; twice: every repetition as well'
            cand --verbose 'Say more: every request; twice: every repetition as well'
            cand --no-progress 'Show no progress'
            cand --no-input 'Never ask anything'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'bbdl;mock'= {
            cand --port 'Port on 127.0.0.1; 0 for a free one'
            cand --claims 'Claims of each enrollee'
            cand --enrollees 'Number of enrollees'
            cand --seed 'Other people, other claims, other credentials'
            cand --data 'Serve the FHIR payloads found in this directory instead'
            cand --latency 'Answer this much later'
            cand --access 'What kind of access the app has'
            cand --fault 'Misbehave (may be given several times); see docs/mock.md'
            cand --profile 'Which log-in to use'
            cand --config 'Configuration file'
            cand --token-store 'Where tokens are kept'
            cand --ca-cert 'Trust the certificates in this file (PEM) as well, as those of a proxy that looks into TLS'
            cand --color 'When to use colours (NO_COLOR is honoured)'
            cand --auto-consent 'Let a plain GET finish a log-in, without pages'
            cand --json 'Print one machine-readable result on stdout'
            cand -q 'Say only what went wrong'
            cand --quiet 'Say only what went wrong'
            cand -v 'Say more: every request; twice: every repetition as well'
            cand --verbose 'Say more: every request; twice: every repetition as well'
            cand --no-progress 'Show no progress'
            cand --no-input 'Never ask anything'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'bbdl;demo'= {
            cand --out 'Where the archive goes'
            cand --profile 'Which log-in to use'
            cand --config 'Configuration file'
            cand --token-store 'Where tokens are kept'
            cand --ca-cert 'Trust the certificates in this file (PEM) as well, as those of a proxy that looks into TLS'
            cand --color 'When to use colours (NO_COLOR is honoured)'
            cand --json 'Print one machine-readable result on stdout'
            cand -q 'Say only what went wrong'
            cand --quiet 'Say only what went wrong'
            cand -v 'Say more: every request; twice: every repetition as well'
            cand --verbose 'Say more: every request; twice: every repetition as well'
            cand --no-progress 'Show no progress'
            cand --no-input 'Never ask anything'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'bbdl;completions'= {
            cand --profile 'Which log-in to use'
            cand --config 'Configuration file'
            cand --token-store 'Where tokens are kept'
            cand --ca-cert 'Trust the certificates in this file (PEM) as well, as those of a proxy that looks into TLS'
            cand --color 'When to use colours (NO_COLOR is honoured)'
            cand --json 'Print one machine-readable result on stdout'
            cand -q 'Say only what went wrong'
            cand --quiet 'Say only what went wrong'
            cand -v 'Say more: every request; twice: every repetition as well'
            cand --verbose 'Say more: every request; twice: every repetition as well'
            cand --no-progress 'Show no progress'
            cand --no-input 'Never ask anything'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'bbdl;man'= {
            cand --profile 'Which log-in to use'
            cand --config 'Configuration file'
            cand --token-store 'Where tokens are kept'
            cand --ca-cert 'Trust the certificates in this file (PEM) as well, as those of a proxy that looks into TLS'
            cand --color 'When to use colours (NO_COLOR is honoured)'
            cand --json 'Print one machine-readable result on stdout'
            cand -q 'Say only what went wrong'
            cand --quiet 'Say only what went wrong'
            cand -v 'Say more: every request; twice: every repetition as well'
            cand --verbose 'Say more: every request; twice: every repetition as well'
            cand --no-progress 'Show no progress'
            cand --no-input 'Never ask anything'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'bbdl;help'= {
            cand login 'Log in at Blue Button, in the browser'
            cand logout 'End the log-in at the server and forget its tokens'
            cand status 'Show the log-ins of this machine and how long they last'
            cand fetch 'Bring claims and other resources home'
            cand verify 'Check that an archive is whole'
            cand report 'Make one page of claims for people: sums, pictures, every claim'
            cand export 'Write claims as tables: CSV, Parquet, SQLite'
            cand doctor 'Check this machine and its log-ins: what would go wrong, and what to do about it'
            cand purge 'Delete a log-in, its tokens and the archives filled with it'
            cand mock 'Run an offline Blue Button with made-up people'
            cand demo 'Show the whole job on made-up people: mock, log-in, fetch'
            cand completions 'Print the completions of a shell'
            cand man 'Write the man pages'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'bbdl;help;login'= {
        }
        &'bbdl;help;logout'= {
        }
        &'bbdl;help;status'= {
        }
        &'bbdl;help;fetch'= {
        }
        &'bbdl;help;verify'= {
        }
        &'bbdl;help;report'= {
        }
        &'bbdl;help;export'= {
        }
        &'bbdl;help;doctor'= {
        }
        &'bbdl;help;purge'= {
        }
        &'bbdl;help;mock'= {
        }
        &'bbdl;help;demo'= {
        }
        &'bbdl;help;completions'= {
        }
        &'bbdl;help;man'= {
        }
        &'bbdl;help;help'= {
        }
    ]
    $completions[$command]
}
