/* SPDX-License-Identifier: Apache-2.0
 * suand.c: the daemon: reads its options and files, puts host, store, engines and API together, and serves until it
 * is told to stop. Exit status: 0 stopped, 1 it can't run, 2 usage. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <jansson.h>
#include <pwd.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/api.h"
#include "base/mem.h"
#include "engine/engines.h"
#include "format/pool_file.h"
#include "host/host.h"
#include "host/log.h"
#include "store/stores.h"

enum { EXIT_USAGE = 2, FILES_WANTED = 8192, PEM_BYTES_MAX = 256 << 10, RESERVE_BYTES = 32 << 20 };

static const char usage[] =
	"usage: suand --pool FILE [--state DIR] [--store URL] [--listen ADDR:PORT] [--config FILE]\n"
	"             [--tls-cert FILE --tls-key FILE] [--new-token] [--anchors FILE]\n"
	"\n"
	"  --pool FILE         the pool: centres, kinds of cards, links, projects (YAML)\n"
	"  --state DIR         where it keeps everything (default: $XDG_STATE_HOME/suan or ~/.local/state/suan)\n"
	"  --store URL         where the journal goes: a directory, sqlite:DIRECTORY or memory: (default: the state directory)\n"
	"  --listen ADDR:PORT  default 127.0.0.1:7480; beyond loopback only with TLS, and every request then needs the token\n"
	"  --tls-cert FILE     the certificate, and those that lead to who signed it (PEM); suan trusts what SUAN_CACERT names\n"
	"  --tls-key FILE      its key (PEM), which nobody else may read (mode 0600)\n"
	"  --config FILE       settings that shape decisions (YAML)\n"
	"  --anchors FILE      where signed points of the journal's chain are written down (default: anchors in the state directory);\n"
	"                      best where whoever can write the state directory can't\n"
	"  --new-token         makes another token: who has the old one is shut out\n"
	"  --version, --help\n"
	"\n"
	"Prints \"listening on http://ADDR:PORT\" once it serves. SIGTERM or Ctrl-C stops it; its jobs go on, and the next start\n"
	"finds them.\n";

struct options {
	const char *pool, *state, *store, *listen, *config, *tls_cert, *tls_key, *anchors;
	bool new_token;
};

/* Everything that lives as long as the daemon. */
struct suand {
	struct options options;
	struct arena arena;
	struct pool_spec pool;
	struct config_spec config;
	const char *const *warnings;
	uint32_t n_warnings;
	char *state; /* absolute */
	char address[64], token[TOKEN_SIZE];
	struct buf tls_cert, tls_key; /* terminated; empty without TLS */
	uint16_t port;
	int lock;
	struct store *store;
	struct host *host;
	struct api *api;
	volatile sig_atomic_t failed; /* the host can't go on */
};

/* ---- Options ---- */

/* Returns below 0 to go on, else an exit status. */
static int read_options(int argc, char **argv, struct options *ret)
{
	static const struct option known[] = {{"pool", required_argument, NULL, 'p'},    {"state", required_argument, NULL, 's'},
	                                      {"store", required_argument, NULL, 'S'},   {"listen", required_argument, NULL, 'l'},
	                                      {"config", required_argument, NULL, 'c'},  {"tls-cert", required_argument, NULL, 'C'},
	                                      {"tls-key", required_argument, NULL, 'K'}, {"new-token", no_argument, NULL, 'T'},
	                                      {"anchors", required_argument, NULL, 'a'}, {"version", no_argument, NULL, 'V'},
	                                      {"help", no_argument, NULL, 'h'},          {0}};
	int c;

	while ((c = getopt_long(argc, argv, "", known, NULL)) >= 0) {
		switch (c) {
		case 'p': ret->pool = optarg; break;
		case 's': ret->state = optarg; break;
		case 'S': ret->store = optarg; break;
		case 'l': ret->listen = optarg; break;
		case 'c': ret->config = optarg; break;
		case 'C': ret->tls_cert = optarg; break;
		case 'K': ret->tls_key = optarg; break;
		case 'T': ret->new_token = true; break;
		case 'a': ret->anchors = optarg; break;
		case 'V': return puts("suand " SUAN_VERSION) < 0;
		case 'h': return fputs(usage, stdout) < 0;
		default: return fputs(usage, stderr), EXIT_USAGE;
		}
	}
	if (optind < argc || !ret->pool) {
		fprintf(stderr, ret->pool ? "suand: %s: not an option\n\n%s" : "suand: --pool FILE is needed%.0s\n\n%s",
		        ret->pool ? argv[optind] : "", usage);
		return EXIT_USAGE;
	}
	if (!ret->tls_cert != !ret->tls_key) {
		fprintf(stderr, "suand: --tls-cert and --tls-key go together: %s is missing\n",
		        ret->tls_cert ? "--tls-key" : "--tls-cert");
		return EXIT_USAGE;
	}
	return -1;
}

static int complain(const char *what, const struct err *err)
{
	char line[16] = "";

	if (err->line)
		snprintf(line, sizeof line, "%u: ", err->line);
	fprintf(stderr, "suand: %s%s%s%s%s%s\n", what ? what : "", what ? ":" : "",
	        what && line[0] ? line
	        : what          ? " "
	                        : "",
	        err->subject, err->subject[0] ? ": " : "", err->text);
	return EXIT_FAILURE;
}

/* ---- Files ---- */

static int read_file(const char *path, size_t max, struct buf *ret, struct err *err)
{
	FILE *file = fopen(path, "re");
	char piece[16384];
	size_t n;
	int code = 0;

	if (!file)
		return err_set(err, ERR_NOT_FOUND, NULL, "%s", strerror(errno));
	while (!code && (n = fread(piece, 1, sizeof piece, file)) > 0) {
		buf_put(ret, piece, n);
		if (ret->len > max)
			code = err_set(err, ERR_TOO_LARGE, NULL, "at most %zu MiB", max >> 20);
	}
	if (!code && ferror(file))
		code = err_set(err, ERR_IO, NULL, "%s", strerror(errno));
	fclose(file);
	return code;
}

static int find_engine(const struct centre_spec *centre, const struct engine_ops **ret, struct err *err)
{
	const struct engine_ops *const *all;
	const char *names[16], *near;
	uint32_t n;

	*ret = engine_find(centre->engine);
	if (*ret)
		return 0;
	all = engine_all(&n);
	for (uint32_t i = 0; i < n && i < 16; i++)
		names[i] = all[i]->type;
	near = spec_nearest(centre->engine, names, n < 16 ? n : 16);
	return err_set(err, ERR_INVALID, "engine.type", "\"%s\" (of centre \"%s\"): no such engine in this release; %s%s%s",
	               centre->engine, centre->name, near ? "did you mean \"" : "expected local or simulated", near ? near : "",
	               near ? "\"?" : "");
}

static int discover(void *ctx, const struct centre_spec *centre, struct arena *arena, const struct line_spec **ret_lines,
                    uint32_t *ret_n_lines, const struct kind_spec **ret_kinds, uint32_t *ret_n_kinds, struct err *err)
{
	const struct engine_ops *ops;
	struct discovery found = {0};
	int code = find_engine(centre, &ops, err);

	(void)ctx;
	if (code < 0)
		return code;
	if (!ops->discover)
		return err_set(err, ERR_INVALID, NULL, "missing: a centre with engine \"%s\" must name its nodes", centre->engine);
	code = ops->discover(centre, arena, &found, err);
	if (code < 0)
		return code;
	*ret_lines = found.lines;
	*ret_n_lines = found.n_lines;
	*ret_kinds = found.kinds;
	*ret_n_kinds = found.n_kinds;
	return 0;
}

/* What each centre can do is what its engine can. */
static int fill_capabilities(struct suand *d, struct err *err)
{
	struct centre_spec *centres = arena_new(&d->arena, d->pool.n_centres, sizeof *centres);

	for (uint32_t i = 0; i < d->pool.n_centres; i++) {
		const struct engine_ops *ops;
		int code = find_engine(&d->pool.centres[i], &ops, err);
		char path[32];

		if (code < 0) {
			snprintf(path, sizeof path, "centres[%u]", i);
			return err_within(err, path);
		}
		centres[i] = d->pool.centres[i];
		centres[i].capabilities = ops->capabilities;
	}
	d->pool.centres = centres;
	return 0;
}

static int read_pool(struct suand *d, struct err *err)
{
	struct buf text = {0};
	int code = read_file(d->options.pool, POOL_FILE_BYTES_MAX, &text, err);

	if (!code)
		code = pool_file_parse((char *)text.data, text.len, discover, NULL, &d->arena, &d->pool, &d->warnings, &d->n_warnings,
		                       err);
	buf_done(&text);
	if (!code)
		code = fill_capabilities(d, err);
	for (uint32_t i = 0; !code && i < d->n_warnings; i++)
		fprintf(stderr, "suand: %s: warning: %s\n", d->options.pool, d->warnings[i]);
	return code;
}

static int read_config(struct suand *d, struct err *err)
{
	struct buf text = {0};
	int code = 0;

	d->config = config_default();
	if (!d->options.config)
		return 0;
	code = read_file(d->options.config, POOL_FILE_BYTES_MAX, &text, err);
	if (!code)
		code = config_file_parse((char *)text.data, text.len, &d->arena, &d->config, err);
	buf_done(&text);
	return code;
}

/* ---- The certificate ---- */

/* A key that others could read, or have written, is no secret. */
static int check_key_file(int fd, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_set(err, ERR_IO, NULL, "%s", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_INVALID, NULL, "not a regular file");
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return err_set(err, ERR_DENIED, NULL, "belongs to user %u: expected to be of root or of who runs suand", st.st_uid);
	if (st.st_mode & 077)
		return err_set(err, ERR_DENIED, NULL, "others may use it (mode %04o): expected 0600; chmod 600 mends it",
		               st.st_mode & 07777);
	return 0;
}

static int read_pem(const char *path, bool secret, struct buf *ret, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), code;
	char piece[4096];
	ssize_t n = 0;

	if (fd < 0)
		return err_set(err, ERR_NOT_FOUND, NULL, "%s", strerror(errno));
	code = secret ? check_key_file(fd, err) : 0;
	while (!code && ret->len <= PEM_BYTES_MAX && (n = read(fd, piece, sizeof piece)) > 0)
		buf_put_secret(ret, piece, (size_t)n);
	sodium_memzero(piece, sizeof piece);
	close(fd);
	if (!code && n < 0)
		return err_set(err, ERR_IO, NULL, "%s", strerror(errno));
	if (!code && (ret->len > PEM_BYTES_MAX || !ret->len || memchr(ret->data, 0, ret->len)))
		return err_set(err, ERR_INVALID, NULL, "expected PEM, at most %d KiB", PEM_BYTES_MAX >> 10);
	buf_put_secret(ret, "", 1);
	return code;
}

/* Returns 0, or an exit status after saying why. */
static int read_tls(struct suand *d)
{
	struct err err = {0};

	if (!d->options.tls_cert)
		return 0;
	if (read_pem(d->options.tls_cert, false, &d->tls_cert, &err) < 0)
		return complain(d->options.tls_cert, &err);
	if (read_pem(d->options.tls_key, true, &d->tls_key, &err) < 0)
		return complain(d->options.tls_key, &err);
	return api_check_tls((char *)d->tls_cert.data, (char *)d->tls_key.data, &err) < 0 ? complain(NULL, &err) : 0;
}

/* ---- The state directory ---- */

/* $NAME/suan, or ~/otherwise/suan; NULL where there is no home. In the arena. */
static const char *user_dir(struct arena *arena, const char *name, const char *otherwise)
{
	const char *set = getenv(name), *home = getenv("HOME");

	if (set && *set == '/')
		return set;
	return home && *home == '/' ? arena_printf(arena, "%s/%s", home, otherwise) : NULL;
}

/* Makes a directory and those above it. */
static int make_dirs(char *path, struct err *err)
{
	for (char *slash = strchr(path + 1, '/');; slash = strchr(slash + 1, '/')) {
		if (slash)
			*slash = 0;
		if (mkdir(path, 0700) < 0 && errno != EEXIST)
			return err_set(err, ERR_IO, "state", "can't make %s: %s", path, strerror(errno));
		if (!slash)
			return 0;
		*slash = '/';
	}
}

static int take_state_dir(struct suand *d, struct err *err)
{
	const char *base = user_dir(&d->arena, "XDG_STATE_HOME", ".local/state");
	char *path;
	int code;

	if (!d->options.state && !base)
		return err_set(err, ERR_INVALID, "--state", "needed, for HOME isn't set");
	path = d->options.state ? arena_strdup(&d->arena, d->options.state) : arena_printf(&d->arena, "%s/suan", base);
	code = make_dirs(path, err);
	if (code < 0)
		return code;
	d->state = realpath(path, NULL);
	if (!d->state)
		return err_set(err, ERR_IO, "state", "%s: %s", path, strerror(errno));
	return state_lock(d->state, &d->lock, err);
}

static void publish_token(struct suand *d)
{
	const char *config_dir = user_dir(&d->arena, "XDG_CONFIG_HOME", ".config");
	struct err err = {0};

	if (!config_dir)
		log_entry(LOG_WARNING, "token", "text=\"HOME isn't set, so suan won't find the token by itself; it is in %s/token\"",
		          d->state);
	else if (token_publish(config_dir, d->address, api_port(d->api), d->token, &err) < 0)
		log_failure(LOG_WARNING, "keeping the token for suan", &err);
}

/* ---- Running ---- */

static void on_stopped(void *ctx)
{
	struct suand *d = ctx;

	d->failed = 1;
	kill(getpid(), SIGTERM);
}

static int open_all(struct suand *d, struct err *err)
{
	struct host_config host = {.state_dir = d->state,
	                           .pool = &d->pool,
	                           .config = &d->config,
	                           .stopped = on_stopped,
	                           .ctx = d,
	                           .anchors = d->options.anchors,
	                           .job_record = api_job_record};
	int code = store_open(d->options.store ? d->options.store : d->state, &d->store, err);

	if (code < 0)
		return code;
	host.store = d->store;
	host.engines = engine_all(&host.n_engines);
	code = d->options.new_token ? token_renew(d->state, d->token, err) : token_load(d->state, d->token, err);
	if (!code)
		code = host_open(&host, &d->host, err);
	return code;
}

static const char *user_name(struct arena *arena)
{
	const struct passwd *user = getpwuid(getuid());

	return user && spec_name_ok(user->pw_name) ? arena_strdup(arena, user->pw_name) : arena_printf(arena, "uid-%u", getuid());
}

static int serve(struct suand *d, struct err *err)
{
	struct api_config api = {.service = host_service(d->host),
	                         .address = d->address,
	                         .port = d->port,
	                         .tls_cert = (const char *)d->tls_cert.data,
	                         .tls_key = (const char *)d->tls_key.data,
	                         .token = d->token,
	                         .user = user_name(&d->arena),
	                         .warnings = d->warnings,
	                         .n_warnings = d->n_warnings};
	int code = api_start(&api, &d->api, err);

	if (!code)
		code = host_start(d->host, err);
	if (code < 0)
		return code;
	publish_token(d);
	printf("listening on %s\n", api_url(d->api));
	fflush(stdout);
	log_entry(LOG_INFO, "listening", "url=%s state=\"%s\" store=%s", api_url(d->api), d->state, d->store->ops->name);
	return 0;
}

/* All signals that stop it are taken by sigwait in the main thread. */
static void hold_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static void raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= FILES_WANTED)
		return;
	limit.rlim_cur = limit.rlim_max < FILES_WANTED ? limit.rlim_max : FILES_WANTED;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* The token, the key and the secrets of jobs go through this process: no core dump holds them, no debugger of another user's
 * or of a job's sees them, and JSON that is done with is zeroed. The hard limit stays, for jobs that want core dumps of their
 * own. */
static void keep_to_ourselves(void)
{
	struct rlimit limit;

	prctl(PR_SET_DUMPABLE, 0);
	if (getrlimit(RLIMIT_CORE, &limit) == 0) {
		limit.rlim_cur = 0;
		setrlimit(RLIMIT_CORE, &limit);
	}
	json_set_alloc_funcs(malloc, mem_free_secret);
}

/* The host answers all that waits before the API ends, for a connection that waits can't be closed. */
static void close_all(struct suand *d)
{
	if (d->host)
		host_stop(d->host);
	d->api = api_stop(d->api);
	d->host = host_close(d->host);
	if (d->store)
		d->store = d->store->ops->close(d->store);
	if (d->lock >= 0)
		close(d->lock);
	sodium_memzero(d->token, sizeof d->token);
	buf_done(&d->tls_cert);
	buf_done_secret(&d->tls_key);
	free(d->state);
	arena_done(&d->arena);
}

static int run(struct suand *d)
{
	struct err err = {0};
	sigset_t signals;
	int number;

	if (api_parse_listen(d->options.listen ? d->options.listen : "127.0.0.1:7480", d->options.tls_cert, d->address, &d->port,
	                     &err) < 0)
		return complain(NULL, &err), EXIT_USAGE;
	if (read_tls(d) != 0)
		return EXIT_FAILURE;
	if (read_pool(d, &err) < 0)
		return complain(d->options.pool, &err);
	if (read_config(d, &err) < 0)
		return complain(d->options.config, &err);
	if (take_state_dir(d, &err) < 0)
		return complain(NULL, &err);
	hold_signals(&signals);
	if (open_all(d, &err) < 0 || serve(d, &err) < 0)
		return complain(NULL, &err);
	sigwait(&signals, &number);
	log_entry(LOG_INFO, "stopping", "signal=%s", sigabbrev_np(number));
	pthread_sigmask(SIG_UNBLOCK, &signals, NULL); /* a second one ends it at once */
	return d->failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	struct suand d = {.lock = -1};
	int status = read_options(argc, argv, &d.options);

	if (status >= 0)
		return status;
	if (sodium_init() < 0) {
		fputs("suand: libsodium can't start\n", stderr);
		return EXIT_FAILURE;
	}
	umask(077);
	if (!mem_set_aside(RESERVE_BYTES))
		fputs("suand: no memory can be set aside\n", stderr);
	keep_to_ourselves();
	raise_file_limit();
	status = run(&d);
	close_all(&d);
	return status;
}
