/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runtime's event stream (GetContainerEvents), as far as a guest on the node may use it:
 *
 * - It is always read. containerd 2.x sends to its subscribers one after another and waits for each: one that does not read
 *   (tried on 2.1.9: after 265 events) stops every CreateContainer and StartContainer of the node. So flow control is never
 *   used against the runtime: when the mailbox is full the stream is closed, and a list makes up for what was missed.
 * - It has a deadline, which the runtime's gRPC server enforces too: crier frozen as a whole (SIGSTOP, freezer, debugger) can
 *   hold the runtime up to it and no longer. It is short after traffic and grows while nothing happens, because a
 *   runtime notices that a subscriber left only when it sends the next event, and keeps 16 KiB for it till then (tried).
 * - Where each event goes to one subscriber only (containerd 1.7, tried), events would be taken from the kubelet: not
 *   opened unless asked for. A subscriber that left swallows one more.
 *
 * A stream that hangs while other calls are answered is not told from a quiet one; its deadline ends it, and all it costs is
 * freshness: the kernel's records, the answers and the lists go on. If the runtime hangs as a whole, its lists do, and the
 * connection is given up with the stream. (HTTP/2 pings are no means: servers answer them from another thread, and Go's
 * refuse them more often than every five minutes.)
 */
#include <errno.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/support/time.h>
#include <time.h>

#include "client.h"
#include "crier/base/log.h"

#define BACKOFF_MAX_NS 60000000000ull /* of a stream that keeps breaking */
#define GOOD_NS                                                                                              \
	60000000000ull /* one that lasted so long was good: the next break starts from the shortest pause */
#define AT_ONCE_NS     10000000000ull /* ended so soon, without an event and without an error: not offered */
#define REFUSAL_NS     500000000ull /* a refusal may come after the list's answer: seen 125 ms on a busy node */
#define STALE_SLACK_NS 1000000000ull /* between the runtime's reading of the clock and ours */
#define LIFE_MAX_MS    3600000u

static const char disconnected[] = "the connection is given up";

static uint64_t unix_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

bool crier_cri_stream_is_shared(const struct crier_cri_facts *facts)
{
	unsigned long major, minor;
	char *end;

	if (strcmp(facts->name, "containerd") != 0)
		return false;
	major = strtoul(facts->version + (facts->version[0] == 'v'), &end, 10);
	if (*end != '.')
		return true; /* no version that can be read: better not */
	minor = strtoul(end + 1, NULL, 10);
	return major == 0 || (major == 1 && minor >= 7); /* 1.6 refuses it */
}

/* ---- what is told ---- */

static void tell(struct crier_cri *cri, enum crier_meta_stream state, struct crier_slice words)
{
	if (cri->stream.told == state)
		return;
	cri->stream.told = state;
	crier_cri_link_tell(cri, words);
}

static void describe(struct crier_cri *cri)
{
	struct crier_cri_stream *stream = &cri->stream;
	struct crier_slice words = crier_cri_slice(&stream->details);

	snprintf(stream->words, sizeof(stream->words), "%s: %s%s%.*s (gRPC status %d)",
		 crier_cri_method_path(CRIER_CRI_EVENTS),
		 stream->closing ? stream->closing : "the stream ended", words.len ? ": " : "",
		 (int)crier_min(words.len, (size_t)200), words.len ? words.ptr : "", (int)stream->status);
}

/* ---- the call ---- */

static void release(struct crier_cri_stream *stream)
{
	grpc_call_unref(take_ptr(stream->call));
	grpc_metadata_array_destroy(&stream->initial);
	grpc_metadata_array_destroy(&stream->trailing);
	grpc_slice_unref(stream->details);
	stream->details = grpc_empty_slice();
	if (stream->message)
		grpc_byte_buffer_destroy(take_ptr(stream->message));
}

static bool start(struct crier_cri_stream *stream, const grpc_op *ops, size_t count, void *tag)
{
	bool ok = grpc_call_start_batch(stream->call, ops, count, tag, NULL) == GRPC_CALL_OK;

	stream->pending += ok;
	return ok;
}

static bool read_next(struct crier_cri_stream *stream)
{
	const grpc_op ops[] = {
		{.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &stream->message},
	};

	return start(stream, ops, CRIER_ARRAY_SIZE(ops), &stream->message);
}

static bool begin(struct crier_cri_stream *stream)
{
	grpc_byte_buffer *request = grpc_raw_byte_buffer_create(NULL, 0);
	const grpc_op begun[] = {
		{.op = GRPC_OP_SEND_INITIAL_METADATA},
		{.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = request},
		{.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT},
		{.op = GRPC_OP_RECV_INITIAL_METADATA,
		 .data.recv_initial_metadata.recv_initial_metadata = &stream->initial},
	};
	const grpc_op ended[] = {
		{.op = GRPC_OP_RECV_STATUS_ON_CLIENT,
		 .data.recv_status_on_client = {.trailing_metadata = &stream->trailing,
						.status = &stream->status,
						.status_details = &stream->details}},
	};
	bool ok = start(stream, begun, CRIER_ARRAY_SIZE(begun), &stream->initial) &&
		  start(stream, ended, CRIER_ARRAY_SIZE(ended), &stream->status) && read_next(stream);

	grpc_byte_buffer_destroy(request);
	return ok;
}

void crier_cri_stream_close(struct crier_cri *cri, const char *why)
{
	struct crier_cri_stream *stream = &cri->stream;

	if (!stream->call || stream->closing)
		return;
	stream->closing = why;
	grpc_call_cancel(stream->call, NULL);
}

static void open_call(struct crier_cri *cri)
{
	struct crier_cri_stream *stream = &cri->stream;
	uint64_t life_ns = crier_cri_jitter(cri, stream->life_ms * 1000000ull);
	gpr_timespec deadline = gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
					     gpr_time_from_nanos((int64_t)life_ns, GPR_TIMESPAN));

	stream->call = grpc_channel_create_call(
		cri->channel, NULL, GRPC_PROPAGATE_DEFAULTS, cri->cq,
		grpc_slice_from_static_string(crier_cri_method_path(CRIER_CRI_EVENTS)), NULL, deadline, NULL);
	if (!stream->call)
		return;
	grpc_metadata_array_init(&stream->initial);
	grpc_metadata_array_init(&stream->trailing);
	stream->details = grpc_empty_slice();
	stream->status = GRPC_STATUS_UNKNOWN;
	stream->closing = NULL;
	stream->events = 0;
	stream->believed_at_ns = CRIER_CRI_NEVER;
	stream->opened_ns = crier_cri_now_ns();
	stream->opened_unix_ns = unix_ns();
	if (!begin(stream))
		crier_cri_stream_close(cri, "the call could not be started");
	if (!stream->pending)
		release(stream);
}

/* ---- its life ---- */

static void retry(struct crier_cri *cri)
{
	struct crier_cri_stream *stream = &cri->stream;

	stream->backoff_ns = stream->backoff_ns ? crier_min(2 * stream->backoff_ns, BACKOFF_MAX_NS)
						: CRIER_CRI_BACKOFF_MIN_NS;
	stream->open_at_ns = crier_cri_now_ns() + crier_cri_jitter(cri, stream->backoff_ns);
}

enum crier_meta_stream crier_cri_stream_connected(struct crier_cri *cri)
{
	struct crier_cri_stream *stream = &cri->stream;

	stream->backoff_ns = 0;
	stream->life_ms = cri->options.stream_life_ms;
	stream->open_at_ns = CRIER_CRI_NEVER;
	if (!cri->options.stream)
		stream->told = CRIER_STREAM_OFF;
	else if (!cri->options.stream_shared && crier_cri_stream_is_shared(&cri->facts))
		stream->told = CRIER_STREAM_SHARED;
	else if (strcmp(stream->refused_by.name, cri->facts.name) == 0 &&
		 strcmp(stream->refused_by.version, cri->facts.version) == 0 && cri->facts.name[0])
		stream->told = CRIER_STREAM_NOT_OFFERED;
	else {
		stream->told = CRIER_STREAM_UNKNOWN;
		stream->open_at_ns = 0;
	}
	return stream->told;
}

void crier_cri_stream_disconnected(struct crier_cri *cri)
{
	crier_cri_stream_close(cri, disconnected);
	cri->stream.open_at_ns = CRIER_CRI_NEVER;
	cri->stream.told = CRIER_STREAM_UNKNOWN;
}

/* Not beside a list: the next one is to be asked for right after the stream, and so to hold all that came before it. */
static bool can_open(const struct crier_cri *cri)
{
	return !cri->stream.call && cri->link == CRIER_CRI_LINK_UP && !cri->is_doubtful &&
	       !cri->control.call && !cri->list.pos && !cri->out_first;
}

void crier_cri_stream_step(struct crier_cri *cri)
{
	struct crier_cri_stream *stream = &cri->stream;

	if (stream->call && !stream->closing && crier_cri_now_ns() >= stream->believed_at_ns) {
		stream->believed_at_ns = CRIER_CRI_NEVER;
		tell(cri, CRIER_STREAM_OPEN, CRIER_SLICE_NONE);
	}
	if (!can_open(cri) || crier_cri_now_ns() < stream->open_at_ns)
		return;
	stream->open_at_ns = CRIER_CRI_NEVER;
	open_call(cri);
	if (!stream->call)
		retry(cri);
	else
		cri->reconcile_at_ns = 0;
}

uint64_t crier_cri_stream_due(const struct crier_cri *cri)
{
	if (cri->stream.call && !cri->stream.closing)
		return cri->stream.believed_at_ns;
	return can_open(cri) ? cri->stream.open_at_ns : CRIER_CRI_NEVER;
}

/*
 * A stream has no answer that says it is open; that it was not refused while a list asked for after it was answered, and a moment
 * longer, does.
 */
void crier_cri_stream_listed(struct crier_cri *cri)
{
	struct crier_cri_stream *stream = &cri->stream;

	if (stream->call && stream->told != CRIER_STREAM_OPEN && stream->believed_at_ns == CRIER_CRI_NEVER)
		stream->believed_at_ns = crier_cri_now_ns() + REFUSAL_NS;
}

static bool is_refused(const struct crier_cri_stream *stream, uint64_t lasted_ns)
{
	switch (stream->status) {
	case GRPC_STATUS_UNIMPLEMENTED:
	case GRPC_STATUS_PERMISSION_DENIED:
	case GRPC_STATUS_UNAUTHENTICATED: return true;
	case GRPC_STATUS_OK: /* CRI-O without enable_pod_events */
		return !stream->events && lasted_ns < AT_ONCE_NS;
	default: return false;
	}
}

/* All its tags are back. */
static void ended(struct crier_cri *cri)
{
	struct crier_cri_stream *stream = &cri->stream;
	uint64_t lasted_ns = crier_cri_now_ns() - stream->opened_ns;
	bool is_over = !stream->closing && stream->status == GRPC_STATUS_DEADLINE_EXCEEDED;
	bool was_refused = !stream->closing && is_refused(stream, lasted_ns);
	bool was_quiet = !stream->events;

	describe(cri);
	release(stream);
	if (cri->link != CRIER_CRI_LINK_UP || stream->closing == disconnected)
		return; /* it is the next connection's to open */
	if (lasted_ns >= GOOD_NS)
		stream->backoff_ns = 0;
	if (was_refused) {
		stream->refused_by = cri->facts;
		tell(cri, CRIER_STREAM_NOT_OFFERED, CRIER_SLICE_NONE);
	} else if (is_over) {
		stream->life_ms =
			was_quiet ? crier_min(2 * stream->life_ms, LIFE_MAX_MS) : cri->options.stream_life_ms;
		stream->open_at_ns = 0;
	} else {
		retry(cri);
		tell(cri, CRIER_STREAM_BROKEN, crier_slice_of(stream->words));
	}
}

/* ---- events ---- */

/* Runtimes keep events for a first subscriber; what is older than the stream is in the list that follows it. */
static bool is_stale(const struct crier_cri_stream *stream, const struct crier_meta_message *message)
{
	return message->event_at_ns != CRIER_UNKNOWN_U64 &&
	       message->event_at_ns < stream->opened_unix_ns - STALE_SLACK_NS &&
	       crier_cri_now_ns() - stream->opened_ns < GOOD_NS; /* later the clock may have been set */
}

static void take(struct crier_cri *cri, struct crier_slice bytes)
{
	struct crier_cri_stream *stream = &cri->stream;

	if (stream->closing) {
		stream->skipped++;
		return;
	}
	stream->events++;
	if (crier_cri_convert(CRIER_CRI_EVENTS, bytes.ptr, bytes.len, cri->holder, &cri->message) < 0) {
		stream->skipped++;
		crier_cri_stream_close(cri, "an event cannot be read");
	} else if (is_stale(stream, &cri->message)) {
		stream->skipped++;
	} else if (cri->out_bytes > CRIER_CRI_OUT_MAX) {
		stream->skipped++;
		crier_cri_stream_close(cri, "crier's mailbox is full");
	} else {
		crier_cri_deliver(cri, &cri->message);
	}
}

static void message_read(struct crier_cri *cri)
{
	struct crier_cri_stream *stream = &cri->stream;
	grpc_byte_buffer *message = take_ptr(stream->message);
	grpc_byte_buffer_reader reader;

	if (!message)
		return; /* no more will come; the status says why */
	if (grpc_byte_buffer_reader_init(&reader, message)) {
		grpc_slice bytes = grpc_byte_buffer_reader_readall(&reader);

		grpc_byte_buffer_reader_destroy(&reader);
		take(cri, crier_cri_slice(&bytes));
		grpc_slice_unref(bytes);
	} else {
		stream->skipped++;
		crier_cri_stream_close(cri, "an event cannot be unpacked");
	}
	grpc_byte_buffer_destroy(message);
	(void)read_next(stream);
}

bool crier_cri_stream_finished(struct crier_cri *cri, const void *tag)
{
	struct crier_cri_stream *stream = &cri->stream;

	if (tag != &stream->initial && tag != &stream->status && tag != &stream->message)
		return false;
	stream->pending--;
	if (tag == &stream->message)
		message_read(cri);
	if (!stream->pending)
		ended(cri);
	return true;
}

void crier_cri_stream_free(struct crier_cri *cri)
{
	if (cri->stream.call)
		release(&cri->stream);
}
