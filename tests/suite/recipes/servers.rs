//! The table of servers.

use super::Recipe;

/// What the scripts of several recipes have in common, for their shell.
pub(super) const FUNCTIONS: &str = r#"
# Its protocol, its service, and a listener that the protocol would open besides.
serve_with_dovecot() {
    besides=
    [ -z "$3" ] || besides="inet_listener $3 {
 port = 0
 }"
    cat > dovecot.conf <<END
base_dir = $D/run
protocols = $1
log_path = $D/log
listen = 127.0.0.1
ssl = yes
ssl_cert = <$D/cert.pem
ssl_key = <$D/key.pem
mail_location = maildir:$D/mail
default_login_user = nobody
default_internal_user = nobody
default_internal_group = nogroup
passdb {
 driver = static
 args = password=x
}
userdb {
 driver = static
}
service $2 {
 chroot =
 inet_listener $1 {
 port = $P
 }
 $besides
}
service anvil {
 chroot =
}
END
    exec dovecot -F -c "$D/dovecot.conf"
}
# The ports for clients and for servers.
serve_with_prosody() {
    cat > conf.lua <<END
run_as_root = true
pidfile = "$D/pid"
data_path = "$D"
interfaces = { "127.0.0.1" }
c2s_ports = { $1 }
s2s_ports = { $2 }
http_ports = {}
https_ports = {}
c2s_direct_tls_ports = {}
s2s_direct_tls_ports = {}
modules_enabled = { "tls", "roster", "saslauth", "disco", "dialback" }
c2s_require_encryption = true
s2s_require_encryption = true
certificates = "$D"
ssl = { certificate = "$D/cert.pem", key = "$D/key.pem" }
log = { info = "$D/log" }
VirtualHost "localhost"
END
    exec prosody -F --config "$D/conf.lua"
}
serve_with_etcd() {
    exec etcd --data-dir "$D/data" --listen-client-urls http://127.0.0.1:$P --advertise-client-urls http://127.0.0.1:$P \
        --listen-peer-urls http://127.0.0.1:$Q --initial-advertise-peer-urls http://127.0.0.1:$Q \
        --initial-cluster default=http://127.0.0.1:$Q --log-outputs stderr
}
# More lines of its section `server`.
serve_with_unbound() {
    printf 'example.com. 60 SOA ns host 1 2 3 4 5\n' > zone
    cat > conf <<END
server:
 interface: 127.0.0.1@$P
 $1
 do-daemonize: no
 username: ""
 chroot: ""
 directory: "$D"
 pidfile: ""
 use-syslog: no
 logfile: ""
 tls-service-key: key.pem
 tls-service-pem: cert.pem
auth-zone:
 name: example.com
 zonefile: zone
 for-upstream: no
remote-control:
 control-enable: no
END
    exec unbound -c "$D/conf"
}
"#;

macro_rules! recipes {
    ($($name:ident: $file:literal $module:literal, $programs:expr, $target:literal, $allowed:expr, $script:expr;)*) => {
        $(#[tokio::test]
        async fn $name() {
            let recipe = Recipe {
                file: $file,
                module: $module,
                programs: &$programs,
                target: $target,
                script: $script,
                allowed: &$allowed,
            };
            recipe.try_out().await;
        })*
    };
}

recipes! {
    smtp: "smtp" "smtp", ["postfix"], "127.0.0.1:PORT", [], r#"
mkdir queue data conf
chown postfix data
cat > conf/main.cf <<END
compatibility_level = 3.6
queue_directory = $D/queue
data_directory = $D/data
maillog_file = $D/log
maillog_file_prefixes = $D
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = localhost
alias_maps =
local_recipient_maps =
proxy_read_maps =
smtpd_helo_required = yes
smtpd_tls_cert_file = $D/cert.pem
smtpd_tls_key_file = $D/key.pem
smtpd_tls_security_level = may
smtpd_tls_loglevel = 1
END
cat > conf/master.cf <<END
127.0.0.1:$P inet n - n - - smtpd -o smtpd_relay_restrictions=reject
postlog unix-dgram n - n - 1 postlogd
anvil unix - - n - 1 anvil
rewrite unix - - n - - trivial-rewrite
proxymap unix - - n - - proxymap
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
pickup unix n - n 60 1 pickup
tlsmgr unix - - n 1000? 1 tlsmgr
END
# The master process leads a group of its own.
trap 'postfix -c "$D/conf" stop' TERM
postfix -c "$D/conf" start-fg &
wait || wait
"#;

    imap: "imap" "imap", ["dovecot", "/usr/lib/dovecot/imap-login"], "127.0.0.1:PORT", ["Aborted login by logging out", "Killed with signal"], r#"
serve_with_dovecot imap imap-login imaps
"#;

    pop3: "pop3" "pop3", ["dovecot", "/usr/lib/dovecot/pop3-login"], "127.0.0.1:PORT", ["Aborted login by logging out", "Killed with signal"], r#"
serve_with_dovecot pop3 pop3-login pop3s
"#;

    sieve: "sieve" "sieve", ["dovecot", "/usr/lib/dovecot/managesieve-login"], "127.0.0.1:PORT", ["Aborted login by logging out", "Killed with signal"], r#"
serve_with_dovecot sieve managesieve-login
"#;

    lmtp: "lmtp" "lmtp", ["dovecot", "/usr/lib/dovecot/lmtp"], "127.0.0.1:PORT", ["Aborted login by logging out", "Killed with signal"], r#"
serve_with_dovecot lmtp lmtp
"#;

    ftp: "ftp" "ftp", ["vsftpd"], "127.0.0.1:PORT", [], r#"
mkdir empty
cat > conf <<END
listen=YES
listen_address=127.0.0.1
listen_port=$P
background=NO
ssl_enable=YES
rsa_cert_file=$D/cert.pem
rsa_private_key_file=$D/key.pem
secure_chroot_dir=$D/empty
anonymous_enable=YES
allow_anon_ssl=YES
xferlog_enable=YES
vsftpd_log_file=$D/log
log_ftp_protocol=YES
debug_ssl=YES
END
exec vsftpd "$D/conf"
"#;

    ldap: "ldap" "ldap", ["slapd"], "127.0.0.1:PORT", [], r#"
cat > slapd.conf <<END
include /etc/ldap/schema/core.schema
pidfile $D/pid
moduleload back_null
TLSCertificateFile $D/cert.pem
TLSCertificateKeyFile $D/key.pem
database null
suffix "dc=test"
END
exec slapd -d stats -h "ldap://127.0.0.1:$P" -f slapd.conf
"#;

    xmpp: "xmpp" "xmpp", ["prosody"], "127.0.0.1:PORT", ["Received SIGTERM"], r#"
serve_with_prosody $P $Q
"#;

    xmpp_server: "xmpp" "xmpp_server", ["prosody"], "127.0.0.1:PORT", ["Received SIGTERM"], r#"
serve_with_prosody $Q $P
"#;

    postgres: "postgres" "postgres", ["/usr/lib/postgresql/15/bin/postgres"], "127.0.0.1:PORT", [], r#"
chown -R postgres "$D"
chmod 600 key.pem
as="setpriv --reuid postgres --regid postgres --clear-groups /usr/lib/postgresql/15/bin"
$as/initdb -D data -A trust --no-sync > /dev/null
exec $as/postgres -D data -p $P -h 127.0.0.1 -k "" -c ssl=on -c ssl_cert_file="$D/cert.pem" -c ssl_key_file="$D/key.pem" -c fsync=off \
    -c log_connections=on
"#;

    mysql: "mysql" "mysql", ["mariadbd", "mariadb-install-db"], "127.0.0.1:PORT", ["max_open_files"], r#"
mariadb-install-db --no-defaults --user=root --datadir="$D/data" --auth-root-authentication-method=normal --skip-test-db > /dev/null 2>&1
echo "CREATE USER prober@'%' REQUIRE SSL;" > init.sql
exec mariadbd --no-defaults --user=root --datadir="$D/data" --port=$P --socket="$D/sock" --bind-address=127.0.0.1 \
    --ssl-cert="$D/cert.pem" --ssl-key="$D/key.pem" --init-file="$D/init.sql"
"#;

    nntp: "nntp" "nntp", ["/usr/lib/news/bin/nnrpd", "python3"], "127.0.0.1:PORT", [], r#"
mkdir etc logs run tmp db spool spool/articles overview
cat > etc/inn.conf <<END
mta: /bin/true
domain: example.org
pathhost: localhost
pathnews: /usr/lib/news
pathetc: $D/etc
pathlog: $D/logs
pathrun: $D/run
pathtmp: $D/tmp
pathdb: $D/db
pathspool: $D/spool
pathoverview: $D/overview
enableoverview: true
ovmethod: tradindexed
hismethod: hisv6
nnrpdloadlimit: 0
tlscapath: /etc/ssl/certs
tlscertfile: $D/cert.pem
tlskeyfile: $D/key.pem
END
cat > etc/readers.conf <<END
auth "all" { hosts: "*" default: "<reader>" }
access "all" { users: "<reader>" newsgroups: "*" }
END
cat > etc/storage.conf <<END
method tradspool {
    newsgroups: *
    class: 0
}
END
touch etc/inn-secrets.conf db/history db/active db/active.times db/newsgroups spool/tradspool.map
chmod 600 key.pem
chown -R news:news "$D"
export INNCONF="$D/etc/inn.conf"
as="setpriv --reuid news --regid news --clear-groups /usr/lib/news/bin"
$as/makehistory -O -x
# Its log goes to /dev/log only: it gets one of its own.
exec python3 -c '
import os, socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("syslog")
os.chmod("syslog", 0o666)
os.set_inheritable(s.fileno(), True)
if os.fork() == 0:
    log = open("log", "ab", buffering=0)
    parent = os.getppid()
    s.settimeout(0.5)
    while True:
        try:
            log.write(s.recv(4096) + b"\n")
        except TimeoutError:
            if os.getppid() != parent:
                break
else:
    os.execvp("unshare", ["unshare", "-m", "sh", "-ec", """
        mount -t tmpfs none /dev
        mknod -m 666 /dev/null c 1 3
        mknod -m 666 /dev/urandom c 1 9
        ln -s "$D/syslog" /dev/log
        exec setpriv --reuid news --regid news --clear-groups /usr/lib/news/bin/nnrpd -D -f -b 127.0.0.1 -p $P < /dev/null
    """])
'
"#;

    irc: "irc" "irc", ["inspircd"], "127.0.0.1:PORT", [], r#"
cat > conf <<END
<config format="xml">
<server name="irc.test" description="test" id="97K" network="Test">
<admin name="a" nick="a" email="a@localhost">
<bind address="127.0.0.1" port="$P" type="clients">
<connect name="main" allow="*">
<module name="ssl_gnutls">
<module name="starttls">
<sslprofile name="Clients" provider="gnutls" certfile="$D/cert.pem" keyfile="$D/key.pem">
<log method="file" type="*" level="default" target="$D/log">
<pid file="$D/pid">
<dns server="127.0.0.1" timeout="1">
END
exec inspircd --nofork --runasroot --config "$D/conf"
"#;

    redis: "redis" "redis", ["redis-server"], "127.0.0.1:PORT", ["overcommit"], r#"
exec redis-server --port $P --bind 127.0.0.1 --save ""
"#;

    redis_unix: "redis_unix" "redis_unix", ["redis-server"], "FOLDER/socket", ["overcommit"], r#"
exec redis-server --port 0 --unixsocket "$D/socket" --save ""
"#;

    memcached: "memcached" "memcached", ["memcached"], "127.0.0.1:PORT", [], r#"
exec memcached -l 127.0.0.1 -p $P -U 0 -u root -v
"#;

    ssh: "ssh" "ssh", ["sshd", "ssh-keygen"], "127.0.0.1:PORT", ["[preauth]"], r#"
ssh-keygen -q -t ed25519 -N "" -f key
mkdir -p /run/sshd
exec /usr/sbin/sshd -D -e -f /dev/null -o UsePAM=no -o PidFile=none -o ListenAddress=127.0.0.1:$P -h "$D/key"
"#;

    rsync: "rsync" "rsync", ["rsync"], "127.0.0.1:PORT", [], r#"
printf 'use chroot = no\n[data]\npath = %s\n' "$D" > conf
exec rsync --daemon --no-detach --port=$P --address=127.0.0.1 --config="$D/conf" --log-file="$D/log"
"#;

    git: "git" "git", ["git"], "127.0.0.1:PORT", [], r#"
export HOME="$D" GIT_CONFIG_NOSYSTEM=1
git init -q work
git -C work -c user.name=a -c user.email=a@localhost commit -q --allow-empty -m first
git clone -q --bare work project.git
git config --global safe.directory "*"
exec git daemon --listen=127.0.0.1 --port=$P --export-all --base-path="$D" --verbose
"#;

    svn: "svn" "svn", ["svnserve"], "127.0.0.1:PORT", ["Connection reset by peer"], r#"
exec svnserve -d --foreground --listen-host 127.0.0.1 --listen-port $P -r "$D" --log-file "$D/log"
"#;

    mqtt: "mqtt" "mqtt", ["mosquitto"], "127.0.0.1:PORT", ["as root"], r#"
printf 'listener %s 127.0.0.1\nallow_anonymous true\nuser root\n' $P > conf
exec mosquitto -c conf -v
"#;

    amqp: "amqp" "amqp", ["rabbitmq-server"], "127.0.0.1:PORT", ["closing AMQP connection", "client unexpectedly closed", "rebuilding indices", " [info] "], r#"
mkdir home db
export HOME="$D/home" RABBITMQ_NODENAME=probe$P@localhost RABBITMQ_NODE_IP_ADDRESS=127.0.0.1 RABBITMQ_NODE_PORT=$P RABBITMQ_DIST_PORT=$R ERL_EPMD_PORT=$Q \
    RABBITMQ_MNESIA_BASE="$D/db" RABBITMQ_LOG_BASE="$D" RABBITMQ_LOGS=- RABBITMQ_PID_FILE="$D/pid" RABBITMQ_ENABLED_PLUGINS_FILE="$D/plugins" \
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='+S 1 +sbwt none +sbwtdcpu none +sbwtdio none'
epmd -port $Q &
/usr/lib/rabbitmq/bin/rabbitmq-server &
# It listens before it is started, and logs an error if it is stopped between.
trap 'until grep -q "startup complete" output; do sleep 0.1; done; kill $!; wait $!' TERM
wait $!
"#;

    beanstalkd: "beanstalkd" "beanstalkd", ["beanstalkd"], "127.0.0.1:PORT", [], r#"
exec beanstalkd -l 127.0.0.1 -p $P
"#;

    gearman: "gearman" "gearman", ["gearmand"], "127.0.0.1:PORT", ["GEARMAND_WAKEUP_RUN"], r#"
exec gearmand --listen=127.0.0.1 --port=$P --log-file=stderr --verbose=INFO
"#;

    vnc: "vnc" "vnc", ["Xtigervnc"], "127.0.0.1:PORT", ["mieq"], r#"
exec Xtigervnc :$P -rfbport $P -interface 127.0.0.1 -SecurityTypes None -nolisten unix
"#;

    rdp: "rdp" "rdp", ["xrdp"], "127.0.0.1:PORT", ["[ERROR]"], r#"
sed -e "s/^port=.*/port=tcp:\/\/127.0.0.1:$P/" -e "s#^LogFile=.*#LogFile=$D/log#" -e "s/^EnableSyslog=.*/EnableSyslog=false/" /etc/xrdp/xrdp.ini > xrdp.ini
exec xrdp --nodaemon --config "$D/xrdp.ini"
"#;

    sip: "sip" "sip", ["kamailio"], "127.0.0.1:PORT", ["load_tm_api", "receive_fd"], r#"
cat > conf <<END
debug=2
log_stderror=yes
children=1
tcp_children=1
auto_aliases=no
listen=tcp:127.0.0.1:$P
mpath="/usr/lib/x86_64-linux-gnu/kamailio/modules/"
loadmodule "sl.so"
request_route { sl_send_reply("200", "OK"); }
END
exec kamailio -DD -E -Y "$D" -P "$D/pid" -f conf
"#;

    stun: "stun" "stun", ["turnserver"], "127.0.0.1:PORT", ["Connection reset by peer", "CHANGE_REQUEST"], r#"
exec turnserver -n -L 127.0.0.1 -p $P --no-cli --no-tls --no-dtls --no-udp --log-file=stdout --pidfile="$D/pid" --userdb="$D/db"
"#;

    openvpn: "openvpn" "openvpn", ["openvpn", "openssl"], "127.0.0.1:PORT", ["accessible", "Connection reset, restarting", "connection-reset"], r#"
exec openvpn --dev null --proto tcp-server --local 127.0.0.1 --lport $P --tls-server --ca cert.pem --cert cert.pem --key key.pem --dh none \
    --verb 3 --persist-tun --ifconfig-noexec
"#;

    openvpn_management: "openvpn_management" "openvpn_management", ["openvpn", "openssl"], "127.0.0.1:PORT", ["accessible"], r#"
echo hush > password
exec openvpn --dev null --proto tcp-server --local 127.0.0.1 --lport $Q --tls-server --ca cert.pem --cert cert.pem --key key.pem --dh none \
    --verb 3 --persist-tun --ifconfig-noexec --management 127.0.0.1 $P password
"#;

    socks5: "socks5" "socks5", ["microsocks"], "127.0.0.1:PORT", [], r#"
exec microsocks -i 127.0.0.1 -p $P
"#;

    php_fpm: "php_fpm" "php_fpm", ["/usr/sbin/php-fpm8.2"], "127.0.0.1:PORT", [], r#"
cat > conf <<END
[global]
error_log = /dev/stderr
daemonize = no
[www]
listen = 127.0.0.1:$P
user = nobody
pm = static
pm.max_children = 1
ping.path = /ping
END
exec php-fpm8.2 -n -y "$D/conf"
"#;

    prometheus: "prometheus" "prometheus", ["prometheus"], "http://127.0.0.1:PORT/-/healthy", ["Received SIGTERM"], r#"
echo "global: {}" > conf.yml
exec prometheus --config.file=conf.yml --storage.tsdb.path="$D/data" --web.listen-address=127.0.0.1:$P
"#;

    influxdb: "influxdb" "influxdb", ["influxd"], "http://127.0.0.1:PORT/ping", [], r#"
cat > conf <<END
reporting-disabled = true
bind-address = "127.0.0.1:$Q"
[meta]
  dir = "$D/meta"
[data]
  dir = "$D/data"
  wal-dir = "$D/wal"
[http]
  bind-address = "127.0.0.1:$P"
END
exec influxd -config "$D/conf"
"#;

    etcd: "etcd" "etcd", ["etcd"], "http://127.0.0.1:PORT/health", ["capnslog", "addrConn"], r#"
serve_with_etcd
"#;

    grpc_health: "grpc" "grpc_health_plain", ["etcd"], "127.0.0.1:PORT", ["capnslog", "addrConn"], r#"
serve_with_etcd
"#;

    websocket: "websocket" "websocket", ["python3", "/usr/lib/python3/dist-packages/websockets/__init__.py"], "ws://127.0.0.1:PORT/", ["connection handler failed", "IncompleteReadError", "no close frame received"], r#"
exec /usr/bin/python3 -c '
import asyncio, os, websockets
async def echo(socket):
    async for message in socket:
        await socket.send(message)
async def main():
    async with websockets.serve(echo, "127.0.0.1", int(os.environ["P"])):
        await asyncio.Future()
asyncio.run(main())
'
"#;

    dns: "dns" "dns", ["unbound"], "127.0.0.1:PORT", [], r#"
serve_with_unbound
"#;

    dns_over_tls: "dns" "dns_over_tls", ["unbound"], "127.0.0.1:PORT", [], r#"
serve_with_unbound "tls-port: $P"
"#;
}
