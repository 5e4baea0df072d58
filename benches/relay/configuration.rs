//! How each relay is configured: plainly, with what its manual suggests for one core and many
//! connections, and without logs. The report shows all of it.

use std::net::SocketAddr;
use std::path::Path;

use super::peer::Kind;

/// Connections that the largest load has, with some to spare.
const CONNECTIONS_MAX: usize = 5200;
/// Where distributions keep nginx's stream module, unless it is built in.
const NGINX_MODULES: [&str; 3] = [
    "/usr/lib/nginx/modules/ngx_stream_module.so",
    "/usr/lib64/nginx/modules/ngx_stream_module.so",
    "/usr/share/nginx/modules/ngx_stream_module.so",
];

/// The file that it reads, if it reads one.
pub fn text(kind: Kind, listen: SocketAddr, backend: SocketAddr, folder: &Path) -> Option<String> {
    match kind {
        Kind::Haproxy => Some(haproxy(listen, backend, &["splice-auto"])),
        Kind::HaproxySplicing => {
            Some(haproxy(listen, backend, &["splice-request", "splice-response"]))
        }
        Kind::Nginx => Some(nginx(listen, backend, folder)),
        Kind::Rinetd => {
            let of = |address: SocketAddr| format!("{} {}", address.ip(), address.port());
            Some(format!("{} {}\n", of(listen), of(backend)))
        }
        Kind::Direct | Kind::Floor(_) | Kind::Ours | Kind::Etcd => None,
    }
}

/// The command line that it is started with.
pub fn arguments(kind: Kind, listen: SocketAddr, backend: SocketAddr, file: &Path) -> Vec<String> {
    let file = file.display().to_string();
    let endpoints = format!("--endpoints={backend}");
    let listen_addr = format!("--listen-addr={listen}");
    let words: &[&str] = match kind {
        Kind::Direct => &[],
        Kind::Floor(floor) => return floor.arguments(listen, backend).to_vec(),
        Kind::Ours => &["start", "--log-level=warn", &endpoints, &listen_addr],
        Kind::Etcd => &["gateway", "start", &endpoints, &listen_addr],
        // In the foreground, as one process.
        Kind::Haproxy | Kind::HaproxySplicing => &["-db", "-q", "-f", &file],
        Kind::Nginx => &["-c", &file],
        Kind::Rinetd => &["-f", "-c", &file],
    };
    words.iter().map(|&word| word.to_owned()).collect()
}

fn haproxy(listen: SocketAddr, backend: SocketAddr, options: &[&str]) -> String {
    let options: String = options.iter().map(|option| format!("    option {option}\n")).collect();
    // Read at once what ours and the copying floor do, and splice as much as the splicing floor.
    let (buffer, pipe) = (64 * 1024, 256 * 1024);
    format!(
        "global
    nbthread 1
    tune.bufsize {buffer}
    tune.pipesize {pipe}
    maxconn {CONNECTIONS_MAX}
defaults
    mode tcp
{options}    timeout connect 1s
    timeout client 1h
    timeout server 1h
listen relay
    bind {listen} backlog 4096
    server backend {backend}
"
    )
}

fn nginx(listen: SocketAddr, backend: SocketAddr, folder: &Path) -> String {
    let module = NGINX_MODULES.into_iter().find(|file| Path::new(file).exists());
    let load = module.map_or_else(String::new, |file| format!("load_module {file};\n"));
    // Clients and servers count.
    let connections = 2 * CONNECTIONS_MAX;
    // Removed when it ends, so it has to be a file of its own.
    let pid = folder.join("nginx.pid");
    let pid = pid.display();
    format!(
        "{load}daemon off;
worker_processes 1;
error_log stderr crit;
pid {pid};
events {{
    worker_connections {connections};
}}
stream {{
    access_log off;
    server {{
        listen {listen} backlog=4096;
        proxy_pass {backend};
        proxy_timeout 1h;
    }}
}}
"
    )
}
