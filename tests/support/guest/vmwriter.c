// vmwriter: writes a history over two disks that can be checked afterwards, and checks it.
//
//   vmwriter write  DATA_DIR RING [us=N] [churn=none|mix|all] [bulk=KB] [every=N] [ctl=FIFO]
//   vmwriter verify DATA_DIR|LOG_FILE RING      prints VERIFY OK ..., VERIFY BAD ... or VERIFY NONE
//   vmwriter blank  FILE                        exit status 0 when its first MiB is all zero
//
// Disk 1 holds an ext4 file system; DATA_DIR/log is an array of 4 KiB records, sequence numbers 0, 1, 2, ...
// Disk 2 (RING) is raw: kSlots slots of 4 KiB, the rest is cells of 64 KiB. Record n is made like this:
//   1. append it to the log, fdatasync            (it names the operation of step 3)
//   2. write it to slot n % kSlots, fdatasync, print "SEQ n"
//   3. do its operation (fill / zero / trim cells, put / delete a file, fstrim), fsync
// So at any instant the disks, taken together, must show: a log without a gap (one torn tail is allowed),
// log_last-1 <= ring_max <= log_last, and every operation before log_last done in full. The verifier replays
// the log to know what each cell and file must hold. A disk that is older or newer than the other one is
// caught, and so is a block that was not copied, zeros that were not carried over, and a file with old
// contents.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { kRecord = 4096, kSlots = 1024, kCell = 65536, kFiles = 64, kMaxCellsPerOp = 1024 };
static const uint64_t kMagic = 0x5944555453444e55ull;  // "UNDSTUDY"
static const off_t kCells = (off_t)kRecord * kSlots;   // where the cells start on disk 2

enum Op { kNone, kFill, kZero, kTrim, kPut, kDelete, kFstrim };

struct Record {
  uint64_t magic, seq, time_ns;
  uint32_t op, a, b, reserved;
  uint64_t filler[506];
  uint64_t crc;
};
_Static_assert(sizeof(struct Record) == kRecord, "a record is one block");

struct Disks {
  int log, ring, dir;  // dir: DATA_DIR, or -1 when only a log file was given
  uint32_t cells;
};

static void die(const char* what) {
  printf("ERROR %s: %s\n", what, strerror(errno));
  fflush(stdout);
  exit(2);
}

static uint64_t next(uint64_t* s) {  // xorshift64*
  *s ^= *s >> 12, *s ^= *s << 25, *s ^= *s >> 27;
  return *s * 0x2545F4914F6CDD1Dull;
}

static uint64_t seed_of(uint64_t seq, uint64_t salt) {
  return (seq + 1) * 0x9E3779B97F4A7C15ull ^ (salt << 17 | 1);
}

static void fill(void* to, size_t bytes, uint64_t seq, uint64_t salt) {
  uint64_t s = seed_of(seq, salt), *w = to;
  for (size_t i = 0; i < bytes / 8; i++) w[i] = next(&s);
}

static uint32_t crc32_of(const void* data, size_t n) {
  static uint32_t table[256];
  const uint8_t* p = data;
  if (!table[1])
    for (uint32_t i = 0; i < 256; i++) {
      uint32_t c = i;
      for (int k = 0; k < 8; k++) c = c & 1 ? 0xEDB88320u ^ (c >> 1) : c >> 1;
      table[i] = c;
    }
  uint32_t c = ~0u;
  while (n--) c = table[(c ^ *p++) & 255] ^ (c >> 8);
  return ~c;
}

static int good(const struct Record* r) {
  return r->magic == kMagic && r->crc == crc32_of(r, offsetof(struct Record, crc));
}

static void write_all(int fd, const void* p, size_t n, off_t at) {
  while (n) {
    ssize_t w = pwrite(fd, p, n, at);
    if (w < 0 && errno == EINTR) continue;
    if (w < 0) die("write");
    p = (const char*)p + w, n -= (size_t)w, at += w;
  }
}

static int read_all(int fd, void* p, size_t n, off_t at) {
  while (n) {
    ssize_t r = pread(fd, p, n, at);
    if (r < 0 && errno == EINTR) continue;
    if (r <= 0) return -1;
    p = (char*)p + r, n -= (size_t)r, at += r;
  }
  return 0;
}

static off_t size_of(int fd) {
  off_t n = lseek(fd, 0, SEEK_END);
  if (n < 0) die("size");
  return n;
}

static const char* file_name(uint32_t id) {
  static char name[16];
  snprintf(name, sizeof name, "f/%02u", id % kFiles);
  return name;
}

// ---- doing an operation (step 3) ----

static void zero_or_trim(int fd, unsigned long request, int fallocate_mode, off_t at, off_t bytes) {
  uint64_t range[2] = {(uint64_t)at, (uint64_t)bytes};
  struct stat st;
  if (fstat(fd, &st)) die("stat");
  if (S_ISBLK(st.st_mode) ? ioctl(fd, request, range) : fallocate(fd, fallocate_mode, at, bytes)) {
    if (request == BLKDISCARD && errno == EOPNOTSUPP) return;  // no discard: the data stays, which is allowed
    die("zero or trim");
  }
}

static void put_file(int dir, uint64_t seq, uint32_t id, uint32_t kib) {
  static uint64_t block[512];
  int fd = openat(dir, file_name(id), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (fd < 0) die("create file");
  for (uint32_t i = 0; i < kib / 4; i++) {
    fill(block, sizeof block, seq, i);
    write_all(fd, block, sizeof block, (off_t)i * 4096);
  }
  if (fsync(fd)) die("fsync file");
  close(fd);
}

static void sync_files(int dir) {
  int fd = openat(dir, "f", O_RDONLY | O_DIRECTORY);
  if (fd < 0 || fsync(fd)) die("fsync directory");
  close(fd);
}

static void perform(const struct Disks* d, const struct Record* r) {
  static uint64_t cell[kCell / 8];
  off_t at = kCells + (off_t)r->a * kCell, bytes = (off_t)r->b * kCell;
  switch (r->op) {
    case kFill:
      for (uint32_t i = 0; i < r->b; i++) {
        fill(cell, sizeof cell, r->seq, i);
        write_all(d->ring, cell, sizeof cell, at + (off_t)i * kCell);
      }
      break;
    case kZero:
      zero_or_trim(d->ring, BLKZEROOUT, FALLOC_FL_ZERO_RANGE, at, bytes);
      break;
    case kTrim:
      zero_or_trim(d->ring, BLKDISCARD, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, bytes);
      break;
    case kPut:
      put_file(d->dir, r->seq, r->a, r->b), sync_files(d->dir);
      break;
    case kDelete:
      if (unlinkat(d->dir, file_name(r->a), 0) && errno != ENOENT) die("unlink");
      sync_files(d->dir);
      break;
    case kFstrim: {
      struct fstrim_range all = {0, UINT64_MAX, 0};
      struct stat st;
      if (fstat(d->ring, &st) || !S_ISBLK(st.st_mode))
        break;  // a dry run on plain files: not the host's file system
      if (ioctl(d->dir, FITRIM, &all) && errno != EOPNOTSUPP && errno != ENOTTY) die("fstrim");
      break;
    }
  }
  if ((r->op == kFill || r->op == kZero || r->op == kTrim) && fdatasync(d->ring)) die("fdatasync ring");
}

// ---- checking ----

struct Expect {  // what the log says one cell holds
  uint64_t seq;  // the record that filled it
  uint32_t salt;
  uint8_t known, filled, maybe_zero, must_be_zero, skip;
};

static int bad(const char* format, ...) {
  va_list args;
  va_start(args, format);
  printf("VERIFY BAD ");
  vprintf(format, args);
  printf("\n");
  va_end(args);
  return 1;
}

static void expect_op(struct Expect* cells, uint32_t count, const struct Record* r, int last) {
  for (uint32_t i = 0; i < r->b && r->a + i < count; i++) {
    struct Expect* c = &cells[r->a + i];
    if (last) {
      c->skip = 1;
    } else if (r->op == kFill) {
      *c = (struct Expect){.seq = r->seq, .salt = i, .known = 1, .filled = 1};
    } else if (r->op == kZero) {
      *c = (struct Expect){.known = 1, .must_be_zero = 1};
    } else if (r->op == kTrim) {
      c->maybe_zero = 1;  // a trimmed block reads as zeros or as before, block by block
    }
  }
}

static int check_cells(const struct Disks* d, const struct Expect* cells) {
  static uint8_t have[kCell], want[kCell], zero[4096];
  for (uint32_t i = 0; i < d->cells; i++) {
    const struct Expect* c = &cells[i];
    if (!c->known || c->skip) continue;
    if (read_all(d->ring, have, kCell, kCells + (off_t)i * kCell)) return bad("cell %u cannot be read", i);
    if (c->filled)
      fill(want, kCell, c->seq, c->salt);
    else
      memset(want, 0, kCell);
    for (uint32_t at = 0; at < kCell; at += 4096)
      if (memcmp(have + at, want + at, 4096) && !(c->maybe_zero && !memcmp(have + at, zero, 4096)))
        return bad("cell %u block %u: not what record %llu left there (%s)", i, at / 4096,
                   (unsigned long long)c->seq, c->filled ? "data" : "zeros");
  }
  return 0;
}

static int check_files(const struct Disks* d, const struct Record* put, const struct Record* last) {
  static uint64_t have[512], want[512];
  if (d->dir < 0) return 0;
  for (uint32_t id = 0; id < kFiles; id++) {
    if ((last->op == kPut || last->op == kDelete) && last->a == id) continue;
    int fd = openat(d->dir, file_name(id), O_RDONLY);
    if (put[id].op != kPut) {
      if (fd >= 0) return close(fd), bad("file %u: should be deleted", id);
      continue;
    }
    if (fd < 0) return bad("file %u: missing", id);
    if (size_of(fd) != (off_t)put[id].b / 4 * 4096) return close(fd), bad("file %u: wrong size", id);
    for (uint32_t i = 0; i < put[id].b / 4; i++) {
      fill(want, sizeof want, put[id].seq, i);
      if (read_all(fd, have, sizeof have, (off_t)i * 4096) || memcmp(have, want, sizeof want))
        return close(fd),
               bad("file %u block %u: not what record %llu wrote", id, i, (unsigned long long)put[id].seq);
    }
    close(fd);
  }
  return 0;
}

// Slots hold the newest kSlots records up to ring_max; only the slot after it may be half overwritten.
static int check_ring(const struct Disks* d, int64_t log_last, int64_t* ring_max) {
  static int64_t seq[kSlots];
  struct Record r;
  *ring_max = -1;
  for (int i = 0; i < kSlots; i++) {
    if (read_all(d->ring, &r, sizeof r, (off_t)i * kRecord)) return bad("slot %d cannot be read", i);
    seq[i] = good(&r) ? (int64_t)r.seq : -1;
    if (seq[i] > *ring_max) *ring_max = seq[i];
  }
  if (*ring_max > log_last || *ring_max < log_last - 1)
    return bad("log_last=%lld ring_max=%lld: not one point in time", (long long)log_last,
               (long long)*ring_max);
  for (int64_t s = *ring_max; s >= 0 && s > *ring_max - kSlots + 1; s--)
    if (seq[s % kSlots] != s)
      return bad("slot %d holds %lld, not %lld", (int)(s % kSlots), (long long)seq[s % kSlots], (long long)s);
  return 0;
}

// Reads the log. Returns 0 and the last record (log_last = -1 when there is none), or 1 after printing VERIFY
// BAD.
static int check(const struct Disks* d, struct Record* last, int64_t* log_last) {
  static struct Record put[kFiles];
  struct Record r;
  int64_t count = size_of(d->log) / kRecord, ring_max;
  struct Expect* cells = calloc(d->cells + 1, sizeof *cells);
  if (!cells) die("memory");
  *log_last = -1;
  for (int64_t n = 0; n < count; n++) {
    int torn = read_all(d->log, &r, sizeof r, n * kRecord) || !good(&r) || r.seq != (uint64_t)n;
    if (torn && n == count - 1) break;
    if (torn) return bad("log record %lld of %lld is damaged", (long long)n, (long long)count);
    if (n) {  // the operation of the record before this one is complete
      if (last->op == kPut || last->op == kDelete)
        put[last->a % kFiles] = *last;
      else if (last->op != kNone && last->op != kFstrim)
        expect_op(cells, d->cells, last, 0);
    }
    *last = r, *log_last = n;
  }
  if (*log_last >= 0 && last->op >= kFill && last->op <= kTrim) expect_op(cells, d->cells, last, 1);
  int failed = check_ring(d, *log_last, &ring_max) || check_cells(d, cells) ||
               (*log_last >= 0 && check_files(d, put, last));
  free(cells);
  if (failed) return 1;
  if (*log_last < 0)
    printf("VERIFY NONE\n");
  else
    printf("VERIFY OK log_last=%lld ring_max=%lld\n", (long long)*log_last, (long long)ring_max);
  return 0;
}

// ---- writing ----

struct Plan {
  long us, bulk_kib, every;
  int churn;  // 0 none, 1 one operation in four records, 2 every record
  int paused;
  uint32_t want, amount;  // a command's operation, and how many cells or KiB of it are left
  char command[64];
};

static void draw(const struct Disks* d, struct Plan* p, struct Record* r, uint64_t* s) {
  uint32_t span = 1 + (uint32_t)(next(s) % 16);
  if (p->want) {
    r->op = p->want;
    if (r->op <= kTrim)
      span = p->amount < kMaxCellsPerOp ? p->amount : kMaxCellsPerOp;
    else
      span = 1;
    p->amount -= span;
  } else if (p->bulk_kib) {
    r->op = kFill, span = (uint32_t)(p->bulk_kib + 63) / 64;
  } else if (p->churn == 2 || (p->churn == 1 && r->seq % 4 == 3)) {
    static const uint8_t mix[16] = {kFill, kFill, kFill, kFill, kZero,   kZero,   kTrim,   kTrim,
                                    kPut,  kPut,  kPut,  kPut,  kDelete, kDelete, kDelete, kFstrim};
    r->op = mix[next(s) % 16];
  }
  if (r->op >= kFill && r->op <= kTrim) {
    if (!d->cells) {
      r->op = kNone;
      return;
    }
    r->b = span < d->cells ? span : d->cells;
    r->a = (uint32_t)(next(s) % (d->cells - r->b + 1));
  } else if (r->op == kPut || r->op == kDelete) {
    r->a = (uint32_t)(next(s) % kFiles);
    r->b = r->op == kPut ? 4 * (1 + (uint32_t)(next(s) % 64)) : 0;
  }
}

// One line of the control pipe: fill|zero|trim|put|delete|fstrim [COUNT], us N, churn N, bulk KB, pause,
// resume.
static void obey(struct Plan* p, const char* line) {
  static const char* const names[] = {"", "fill", "zero", "trim", "put", "delete", "fstrim"};
  char word[16] = "";
  long n = 1;
  sscanf(line, "%15s %ld", word, &n);
  for (uint32_t op = kFill; op <= kFstrim; op++)
    if (!strcmp(word, names[op])) p->want = op, p->amount = n > 0 ? (uint32_t)n : 1;
  if (!strcmp(word, "us")) p->us = n;
  if (!strcmp(word, "churn")) p->churn = (int)n;
  if (!strcmp(word, "bulk")) p->bulk_kib = n;
  if (!strcmp(word, "pause") || !strcmp(word, "resume")) p->paused = word[0] == 'p';
  snprintf(p->command, sizeof p->command, "%s", line);
  p->command[strcspn(p->command, "\r\n")] = 0;
}

static void wait_for_turn(struct Plan* p, int ctl, const struct timespec* turn) {
  for (;;) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t left = (turn->tv_sec - now.tv_sec) * 1000000000ll + turn->tv_nsec - now.tv_nsec;
    if (left < 0) left = 0;
    struct timespec wait = {left / 1000000000, left % 1000000000};
    struct pollfd f = {ctl, POLLIN, 0};
    int n = ppoll(&f, ctl >= 0, p->paused ? NULL : &wait, NULL);
    if (n > 0 && !p->want) {  // one command at a time: the pipe keeps the next one
      char line[64];
      size_t at = 0;
      while (at < sizeof line - 1 && read(ctl, line + at, 1) == 1 && line[at] != '\n') at++;
      line[at] = 0;
      obey(p, line);
      if (p->want) return;
      printf("DONE %s\n", p->command);
      fflush(stdout);
    } else if (!p->paused) {
      return;
    }
  }
}

static void write_forever(struct Disks* d, struct Plan* p, int ctl, struct Record* last, int64_t seq) {
  struct timespec turn;
  clock_gettime(CLOCK_MONOTONIC, &turn);
  if (seq >= 0) {  // finish what the last record of the run before began
    write_all(d->ring, last, sizeof *last, (off_t)(last->seq % kSlots) * kRecord);
    perform(d, last);
    if (fdatasync(d->ring)) die("fdatasync ring");
  }
  for (;;) {
    wait_for_turn(p, ctl, &turn);
    struct Record r = {.magic = kMagic, .seq = (uint64_t)++seq};
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    r.time_ns = (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
    uint64_t s = seed_of(r.time_ns, r.seq);
    uint32_t commanded = p->want;
    draw(d, p, &r, &s);
    fill(r.filler, sizeof r.filler, r.seq, 99);
    r.crc = crc32_of(&r, offsetof(struct Record, crc));
    write_all(d->log, &r, sizeof r, seq * kRecord);
    if (fdatasync(d->log)) die("fdatasync log");
    write_all(d->ring, &r, sizeof r, (off_t)(r.seq % kSlots) * kRecord);
    if (fdatasync(d->ring)) die("fdatasync ring");
    if (seq % p->every == 0) printf("SEQ %lld\n", (long long)seq);
    perform(d, &r);
    if (commanded && !p->amount) {
      printf("DONE %s\n", p->command);
      p->want = 0;
    }
    fflush(stdout);
    tcdrain(STDOUT_FILENO);  // no record n+1 before the line "SEQ n" has left the serial port
    clock_gettime(CLOCK_MONOTONIC, &turn);
    turn.tv_nsec += (p->want ? 0 : p->us % 1000000) * 1000;
    turn.tv_sec += (p->want ? 0 : p->us / 1000000) + turn.tv_nsec / 1000000000;
    turn.tv_nsec %= 1000000000;
  }
}

static int blank(const char* path) {
  static uint64_t data[1 << 17];
  int fd = open(path, O_RDONLY);
  if (fd < 0) die(path);
  ssize_t n = pread(fd, data, sizeof data, 0);
  for (ssize_t i = 0; i < n / 8; i++)
    if (data[i]) return 1;
  return n < 0;
}

int main(int argc, char** argv) {
  if (argc == 3 && !strcmp(argv[1], "blank")) return blank(argv[2]);
  int writing = argc >= 4 && !strcmp(argv[1], "write");
  if (!writing && !(argc == 4 && !strcmp(argv[1], "verify"))) {
    fprintf(stderr,
            "usage: vmwriter write DIR RING [us=N churn=none|mix|all bulk=KIB every=N ctl=FIFO]\n"
            "       vmwriter verify DIR|LOG RING\n       vmwriter blank FILE\n");
    return 2;
  }
  struct Disks d = {-1, -1, open(argv[2], O_RDONLY | O_DIRECTORY), 0};
  if (d.dir < 0 && (writing || errno != ENOTDIR)) die(argv[2]);
  if (writing && mkdirat(d.dir, "f", 0755) && errno != EEXIST) die("mkdir f");
  d.log =
      d.dir < 0 ? open(argv[2], O_RDONLY) : openat(d.dir, "log", writing ? O_RDWR | O_CREAT : O_RDONLY, 0644);
  d.ring = open(argv[3], writing ? O_RDWR : O_RDONLY);
  if (d.ring < 0) die(argv[3]);
  if (size_of(d.ring) > kCells) d.cells = (uint32_t)((size_of(d.ring) - kCells) / kCell);
  if (d.log < 0) {
    int64_t ring_max;  // no log: then the ring must be unused too
    if (check_ring(&d, -1, &ring_max)) return 1;
    printf("VERIFY NONE\n");
    return 0;
  }
  struct Record last = {0};
  int64_t log_last;
  if (check(&d, &last, &log_last)) return 1;
  if (!writing) return 0;

  printf("READY\n");

  struct Plan p = {.us = 100000, .every = 1};
  int ctl = -1;
  for (int i = 4; i < argc; i++) {
    const char* value = strchr(argv[i], '=');
    if (!value++) continue;
    if (!strncmp(argv[i], "us=", 3)) p.us = atol(value);
    if (!strncmp(argv[i], "bulk=", 5)) p.bulk_kib = atol(value);
    if (!strncmp(argv[i], "every=", 6) && atol(value) > 0) p.every = atol(value);
    if (!strncmp(argv[i], "churn=", 6)) p.churn = !strcmp(value, "mix") ? 1 : !strcmp(value, "all") ? 2 : 0;
    if (!strncmp(argv[i], "ctl=", 4) && (ctl = open(value, O_RDWR)) < 0)
      die(value);  // O_RDWR: never at end of file
  }
  fflush(stdout);
  write_forever(&d, &p, ctl, &last, log_last);
}
