/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The recording's file: "CRIERREC", u32 version, u32 byte order mark, then frames of {u32 length, u32 type, u64 now_ns},
 * payload, u32 CRC-32 of all that. Little-endian as in memory: the mark refuses a file of the other kind. Corrupt files are
 * refused at the first byte that is wrong; no length is believed before it is compared with its bound.
 */
#include "crier/input.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <sys/stat.h>

#define MAGIC		"CRIERREC"
#define VERSION		2
#define BYTE_ORDER_MARK 0x01020304u
#define BUFFER_BYTES	(256 * 1024)

struct file_header {
	char magic[8];
	uint32_t version;
	uint32_t byte_order;
};

struct frame_header {
	uint32_t length; /* of the payload */
	uint32_t type;
	uint64_t now_ns;
};

/* CRC-32 (IEEE 802.3), four bits at a time: a table that fits here, and fast enough for some 100 MB/s. */
static uint32_t crc32_add(uint32_t crc, const void *bytes, size_t len)
{
	static const uint32_t table[16] = {
		0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
		0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
		0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
	};
	const unsigned char *p = bytes;

	for (size_t i = 0; i < len; i++) {
		crc = table[(crc ^ p[i]) & 15] ^ (crc >> 4);
		crc = table[(crc ^ (p[i] >> 4)) & 15] ^ (crc >> 4);
	}
	return crc;
}

static uint32_t frame_crc(const struct frame_header *header, const void *bytes)
{
	uint32_t crc = crc32_add(0xffffffff, header, sizeof(*header));

	return ~crc32_add(crc, bytes, header->length);
}

void crier_lookup_path(char path[CRIER_LOOKUP_PATH_MAX], enum crier_lookup_kind kind, const char *dir,
		       struct crier_slice name)
{
	snprintf(path, CRIER_LOOKUP_PATH_MAX, "%s/%s%.*s", dir, kind == CRIER_LOOKUP_FIND ? "*" : "",
		 (int)name.len, name.ptr);
}

void crier_lookup_cgroup(char path[CRIER_LOOKUP_PATH_MAX], const char *root, uint64_t id)
{
	snprintf(path, CRIER_LOOKUP_PATH_MAX, "%s:%" PRIu64, root, id);
}

/* ---- writing ---- */

struct crier_recording_writer {
	FILE *file;
	char *path;
	int error; /* first failure, -errno */
};

static void free_writer(struct crier_recording_writer *writer)
{
	if (writer->file)
		fclose(writer->file);
	free(writer->path);
	free(writer);
}

static int create_file(struct crier_recording_writer *writer, bool force, struct crier_err *err)
{
	const char *path = writer->path;
	struct file_header header = {.magic = MAGIC, .version = VERSION, .byte_order = BYTE_ORDER_MARK};
	_cleanup_close_ int fd =
		open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | (force ? O_TRUNC : O_EXCL), 0600);

	if (fd < 0 && errno == EEXIST)
		return crier_err_set(err, -EEXIST, "%.300s: exists already; remove it or add --force", path);
	if (fd < 0)
		return crier_err_set(err, -errno, "%.300s: cannot create the recording: %s", path,
				     strerror(errno));
	writer->file = fdopen(fd, "wb");
	if (!writer->file)
		return crier_err_set(err, -errno, "%.300s: %s", path, strerror(errno));
	fd = -1;
	(void)setvbuf(writer->file, NULL, _IOFBF, BUFFER_BYTES);
	if (fwrite(&header, sizeof(header), 1, writer->file) != 1 || fflush(writer->file) != 0)
		return crier_err_set(err, -errno, "%.300s: cannot write the recording: %s", path,
				     strerror(errno));
	return 0;
}

int crier_recording_create(const char *path, bool force, struct crier_recording_writer **ret_writer,
			   struct crier_err *err)
{
	struct crier_recording_writer *writer;
	int r;

	if (!*path || (path[0] == '-' && path[1] == '\0'))
		return crier_err_set(err, -EINVAL, "recording: '%s' is no file; stdout belongs to the lines",
				     path);
	writer = calloc(1, sizeof(*writer));
	if (!writer || !(writer->path = strdup(path))) {
		free(writer);
		return crier_err_set(err, -ENOMEM, "recording: out of memory");
	}
	r = create_file(writer, force, err);
	if (r < 0) {
		free_writer(writer);
		return r;
	}
	*ret_writer = writer;
	return 0;
}

int crier_recording_write(struct crier_recording_writer *writer, enum crier_input_type type, uint64_t now_ns,
			  const void *bytes, size_t len)
{
	struct frame_header header = {.length = (uint32_t)len, .type = (uint32_t)type, .now_ns = now_ns};
	uint32_t crc;

	if (writer->error)
		return 0; /* told already */
	if (len > CRIER_INPUT_PAYLOAD_MAX)
		return writer->error = -EMSGSIZE;
	crc = frame_crc(&header, bytes);
	if (fwrite(&header, sizeof(header), 1, writer->file) != 1 ||
	    (len && fwrite(bytes, len, 1, writer->file) != 1) ||
	    fwrite(&crc, sizeof(crc), 1, writer->file) != 1)
		writer->error = errno ? -errno : -EIO;
	return writer->error;
}

int crier_recording_close(struct crier_recording_writer *writer, struct crier_err *err)
{
	int r = writer->error;
	FILE *file = take_ptr(writer->file);

	if (fclose(file) != 0 && r == 0)
		r = -errno;
	if (r < 0)
		(void)crier_err_set(err, r, "%.300s: the recording is not complete: %s", writer->path,
				    strerror(-r));
	free_writer(writer);
	return r;
}

/* ---- reading ---- */

struct crier_recording_reader {
	FILE *file;
	char *path;
	uint64_t position; /* of the next byte */
	char *payload;	   /* malloc'ed, so aligned for any struct */
	size_t payload_cap;
};

void crier_recording_close_reader(struct crier_recording_reader *reader)
{
	if (!reader)
		return;
	if (reader->file)
		fclose(reader->file);
	free(reader->path);
	free(reader->payload);
	free(reader);
}

/* @return bytes read, fewer only at the file's end; or -errno */
static ssize_t take(struct crier_recording_reader *reader, void *buf, size_t len)
{
	size_t n = fread(buf, 1, len, reader->file);

	if (n < len && ferror(reader->file))
		return errno ? -errno : -EIO;
	reader->position += n;
	return (ssize_t)n;
}

__attribute__((format(printf, 4, 5))) static int refuse(const struct crier_recording_reader *reader,
							struct crier_err *err, uint64_t position,
							const char *format, ...)
{
	char text[CRIER_ERR_MAX / 2];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return crier_err_set(err, -EBADMSG, "%.300s: byte %" PRIu64 ": %s", reader->path, position, text);
}

static int refuse_read(const struct crier_recording_reader *reader, struct crier_err *err, ssize_t error)
{
	return crier_err_set(err, (int)error, "%.300s: byte %" PRIu64 ": cannot be read: %s", reader->path,
			     reader->position, strerror((int)-error));
}

static int read_file_header(struct crier_recording_reader *reader, struct crier_err *err)
{
	struct file_header header;
	ssize_t n = take(reader, &header, sizeof(header));

	if (n < 0)
		return refuse_read(reader, err, n);
	if ((size_t)n < sizeof(header.magic) || memcmp(header.magic, MAGIC, sizeof(header.magic)) != 0)
		return refuse(reader, err, 0, "not a recording of crier (it does not begin with " MAGIC ")");
	if ((size_t)n < sizeof(header))
		return refuse(reader, err, (uint64_t)n, "cut within its header of %zu bytes", sizeof(header));
	if (header.byte_order != BYTE_ORDER_MARK)
		return refuse(reader, err, offsetof(struct file_header, byte_order),
			      "made on a machine of the other byte order");
	if (header.version != VERSION)
		return refuse(reader, err, offsetof(struct file_header, version),
			      "format version %" PRIu32
			      ", this crier reads %d; replay it with the crier that made it",
			      header.version, VERSION);
	return 0;
}

int crier_recording_open(const char *path, struct crier_recording_reader **ret_reader, struct crier_err *err)
{
	struct crier_recording_reader *reader = calloc(1, sizeof(*reader));
	struct stat st;
	int r = 0;

	if (!reader || !(reader->path = strdup(path))) {
		free(reader);
		return crier_err_set(err, -ENOMEM, "recording: out of memory");
	}
	reader->file = fopen(path, "rbe");
	if (!reader->file)
		r = crier_err_set(err, -errno, "%.300s: cannot open the recording: %s", path,
				  strerror(errno));
	else if (fstat(fileno(reader->file), &st) == 0 && S_ISDIR(st.st_mode))
		r = crier_err_set(err, -EISDIR, "%.300s: is a directory, not a recording", path);
	if (r == 0)
		r = read_file_header(reader, err);
	if (r < 0) {
		crier_recording_close_reader(reader);
		return r;
	}
	*ret_reader = reader;
	return 0;
}

static int reserve(struct crier_recording_reader *reader, size_t len)
{
	char *payload;

	if (len <= reader->payload_cap)
		return 0;
	payload = realloc(reader->payload, len);
	if (!payload)
		return -ENOMEM;
	reader->payload = payload;
	reader->payload_cap = len;
	return 0;
}

/* Payload and checksum of a frame whose header was taken from `start`. */
static int take_payload(struct crier_recording_reader *reader, const struct frame_header *header,
			uint64_t start, struct crier_err *err)
{
	uint32_t crc = 0;
	ssize_t n;

	/* A page's worth at least, so that the payload is never NULL and small frames do not grow it one by one. */
	if (reserve(reader, crier_max((size_t)header->length, (size_t)4096)) < 0)
		return crier_err_set(err, -ENOMEM, "%.300s: out of memory", reader->path);
	n = take(reader, reader->payload, header->length);
	if (n >= 0 && (size_t)n < header->length)
		return refuse(reader, err, reader->position,
			      "cut within the frame at byte %" PRIu64 ": %zd of %" PRIu32 " bytes of payload",
			      start, n, header->length);
	if (n >= 0)
		n = take(reader, &crc, sizeof(crc));
	if (n < 0)
		return refuse_read(reader, err, n);
	if ((size_t)n < sizeof(crc))
		return refuse(reader, err, reader->position,
			      "cut within the checksum of the frame at byte %" PRIu64, start);
	if (crc != frame_crc(header, reader->payload))
		return refuse(reader, err, start, "the frame's checksum does not match: the file is corrupt");
	return 0;
}

int crier_recording_next(struct crier_recording_reader *reader, enum crier_input_type *ret_type,
			 uint64_t *ret_now_ns, const void **ret_bytes, size_t *ret_len, struct crier_err *err)
{
	uint64_t start = reader->position;
	struct frame_header header;
	ssize_t n = take(reader, &header, sizeof(header));
	int r;

	if (n < 0)
		return refuse_read(reader, err, n);
	if (n == 0)
		return 0;
	if ((size_t)n < sizeof(header))
		return refuse(reader, err, reader->position,
			      "cut within the header of the frame at byte %" PRIu64, start);
	if (header.length > CRIER_INPUT_PAYLOAD_MAX)
		return refuse(reader, err, start,
			      "a frame of %" PRIu32 " bytes, at most %d are allowed: the file is corrupt",
			      header.length, CRIER_INPUT_PAYLOAD_MAX);
	r = take_payload(reader, &header, start, err);
	if (r < 0)
		return r;
	if (header.type == CRIER_INPUT_NONE || header.type >= CRIER_INPUT_TYPE_COUNT)
		return refuse(reader, err, start + offsetof(struct frame_header, type),
			      "input type %" PRIu32 " is not known", header.type);
	*ret_type = (enum crier_input_type)header.type;
	*ret_now_ns = header.now_ns;
	*ret_bytes = reader->payload;
	*ret_len = header.length;
	return 1;
}

uint64_t crier_recording_position(const struct crier_recording_reader *reader)
{
	return reader->position;
}
