#include "CSimulatedDisk.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// Names are "<folder><number>/<name>"; SQLite's own VFS serves all others. The folder is a real one, with an empty file in
// the database's place, for whoever looks at the file by other means than SQLite.
static char folder[] = "/tmp/simulated-XXXXXX/";
#define SECTOR 512
enum { NAME_BYTES = 48, FILES = 6, DISKS = 256 };

struct bytes { uint8_t *data; int64_t length, room; };

// A write that was not synced; a negative length is a truncation to `offset`.
struct change { int64_t offset; int length; uint8_t *data; struct change *next; };

struct file {
  char name[NAME_BYTES];
  int exists, is_durable;
  struct bytes now, durable;
  struct change *first, *last;
  struct handle *owner;
};

struct simulated_disk {
  uint64_t number, random, generation, operations;
  struct file files[FILES];
  enum simulated_fault armed;
  int64_t skip;
  int is_full, is_gone, has_struck, lies;
};

struct handle { sqlite3_file base; simulated_disk *disk; struct file *file; uint64_t generation; };

static pthread_mutex_t disks_lock = PTHREAD_MUTEX_INITIALIZER;
static simulated_disk *disks[DISKS];
static sqlite3_vfs *original;
static sqlite3_vfs simulated;

// MARK: Bytes

static uint64_t next_random(simulated_disk *disk) {
  uint64_t word = disk->random += 0x9e3779b97f4a7c15u;
  word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9u;
  word = (word ^ (word >> 27)) * 0x94d049bb133111ebu;
  return word ^ (word >> 31);
}

static int reserve(struct bytes *bytes, int64_t length) {
  if (length <= bytes->room) return 1;
  int64_t room = bytes->room ? bytes->room : 4096;
  while (room < length) room *= 2;
  uint8_t *data = realloc(bytes->data, (size_t)room);
  if (!data) return 0;
  bytes->data = data;
  bytes->room = room;
  return 1;
}

static int put(struct bytes *bytes, int64_t offset, const uint8_t *data, int64_t length) {
  if (!reserve(bytes, offset + length)) return 0;
  if (offset > bytes->length) memset(bytes->data + bytes->length, 0, (size_t)(offset - bytes->length));
  memcpy(bytes->data + offset, data, (size_t)length);
  if (offset + length > bytes->length) bytes->length = offset + length;
  return 1;
}

static int copy_bytes(const struct bytes *from, struct bytes *to) {
  to->length = 0;
  return from->length == 0 || put(to, 0, from->data, from->length);
}

static void forget_changes(struct file *file) {
  for (struct change *change = file->first, *next; change; change = next) {
    next = change->next;
    free(change->data);
    free(change);
  }
  file->first = file->last = NULL;
}

static int note_change(struct file *file, int64_t offset, const void *data, int length) {
  struct change *change = calloc(1, sizeof *change);
  if (!change) return 0;
  change->offset = offset;
  change->length = length;
  if (length > 0) {
    if (!(change->data = malloc((size_t)length))) { free(change); return 0; }
    memcpy(change->data, data, (size_t)length);
  }
  if (file->last) file->last->next = change; else file->first = change;
  file->last = change;
  return 1;
}

static int apply_change(struct bytes *bytes, const struct change *change) {
  if (change->length >= 0) return put(bytes, change->offset, change->data, change->length);
  if (change->offset < bytes->length) bytes->length = change->offset;
  return 1;
}

static int make_durable(struct file *file) {
  for (struct change *change = file->first; change; change = change->next)
    if (!apply_change(&file->durable, change)) return 0;
  forget_changes(file);
  file->is_durable = file->exists;
  return 1;
}

// What is left of unsynced changes after a power cut: each sector of each of them, or not.
static int keep_some(simulated_disk *disk, struct file *file) {
  if (file->exists && !file->is_durable && next_random(disk) % 2) {
    file->exists = 0;
    forget_changes(file);
  }
  for (struct change *change = file->first; change; change = change->next) {
    if (change->length < 0) {
      if (next_random(disk) % 2 && !apply_change(&file->durable, change)) return 0;
      continue;
    }
    for (int at = 0; at < change->length; at += SECTOR) {
      int length = change->length - at < SECTOR ? change->length - at : SECTOR;
      if (next_random(disk) % 2 && !put(&file->durable, change->offset + at, change->data + at, length)) return 0;
    }
  }
  forget_changes(file);
  file->is_durable = file->exists;
  if (!file->exists) file->durable.length = 0;
  return copy_bytes(&file->durable, &file->now);
}

// MARK: Faults

static int struck(simulated_disk *disk, enum simulated_fault kind) {
  if (disk->armed != kind) return 0;
  if (disk->skip-- > 0) return 0;
  disk->has_struck = 1;
  if (kind == SIMULATED_FULL) disk->is_full = 1;
  else if (kind == SIMULATED_GONE) disk->is_gone = 1;
  disk->armed = SIMULATED_NONE;
  return 1;
}

static int is_cut_off(const struct handle *handle) {
  return handle->disk->is_gone || handle->generation != handle->disk->generation;
}

// MARK: Files

static int file_close(sqlite3_file *base) {
  struct handle *handle = (struct handle *)base;
  if (handle->file->owner == handle) handle->file->owner = NULL;
  return SQLITE_OK;
}

static int file_read(sqlite3_file *base, void *into, int length, sqlite3_int64 offset) {
  struct handle *handle = (struct handle *)base;
  if (is_cut_off(handle) || struck(handle->disk, SIMULATED_READ_ERROR)) return SQLITE_IOERR_READ;
  struct bytes *bytes = &handle->file->now;
  int64_t there = bytes->length - offset;
  if (there >= length) { memcpy(into, bytes->data + offset, (size_t)length); return SQLITE_OK; }
  if (there > 0) memcpy(into, bytes->data + offset, (size_t)there); else there = 0;
  memset((uint8_t *)into + there, 0, (size_t)(length - there));
  return SQLITE_IOERR_SHORT_READ;
}

static int file_write(sqlite3_file *base, const void *data, int length, sqlite3_int64 offset) {
  struct handle *handle = (struct handle *)base;
  simulated_disk *disk = handle->disk;
  struct file *file = handle->file;
  if (is_cut_off(handle) || struck(disk, SIMULATED_GONE)) return SQLITE_IOERR_WRITE;
  disk->operations++;
  if (struck(disk, SIMULATED_WRITE_ERROR)) return SQLITE_IOERR_WRITE;
  struck(disk, SIMULATED_FULL);
  if (disk->is_full && offset + length > file->now.length) return SQLITE_FULL;
  if (!put(&file->now, offset, data, length) || !note_change(file, offset, data, length)) return SQLITE_IOERR_NOMEM;
  return SQLITE_OK;
}

static int file_truncate(sqlite3_file *base, sqlite3_int64 length) {
  struct handle *handle = (struct handle *)base;
  if (is_cut_off(handle) || struck(handle->disk, SIMULATED_GONE)) return SQLITE_IOERR_TRUNCATE;
  if (length >= handle->file->now.length) return SQLITE_OK;
  handle->file->now.length = length;
  return note_change(handle->file, length, NULL, -1) ? SQLITE_OK : SQLITE_IOERR_NOMEM;
}

static int file_sync(sqlite3_file *base, int flags) {
  (void)flags;
  struct handle *handle = (struct handle *)base;
  if (is_cut_off(handle) || struck(handle->disk, SIMULATED_GONE)) return SQLITE_IOERR_FSYNC;
  handle->disk->operations++;
  if (struck(handle->disk, SIMULATED_SYNC_ERROR)) return SQLITE_IOERR_FSYNC;
  if (handle->disk->lies) return SQLITE_OK;
  return make_durable(handle->file) ? SQLITE_OK : SQLITE_IOERR_NOMEM;
}

static int file_size(sqlite3_file *base, sqlite3_int64 *size) {
  struct handle *handle = (struct handle *)base;
  if (is_cut_off(handle)) return SQLITE_IOERR_FSTAT;
  *size = handle->file->now.length;
  return SQLITE_OK;
}

// One connection at a time, as the queue asks for by locking_mode=EXCLUSIVE; a dead one holds nothing.
static int file_lock(sqlite3_file *base, int level) {
  (void)level;
  struct handle *handle = (struct handle *)base, *owner = handle->file->owner;
  if (is_cut_off(handle)) return SQLITE_IOERR_LOCK;
  if (owner && owner != handle && owner->generation == handle->disk->generation) return SQLITE_BUSY;
  handle->file->owner = handle;
  return SQLITE_OK;
}

static int file_unlock(sqlite3_file *base, int level) {
  struct handle *handle = (struct handle *)base;
  if (level == SQLITE_LOCK_NONE && handle->file->owner == handle) handle->file->owner = NULL;
  return SQLITE_OK;
}

static int file_check_reserved(sqlite3_file *base, int *is_reserved) {
  struct handle *handle = (struct handle *)base;
  *is_reserved = handle->file->owner && handle->file->owner != handle;
  return SQLITE_OK;
}

static int file_control(sqlite3_file *base, int operation, void *argument) {
  return (void)base, (void)operation, (void)argument, SQLITE_NOTFOUND;
}
static int file_sector_size(sqlite3_file *base) { (void)base; return 4096; }
static int file_characteristics(sqlite3_file *base) { (void)base; return SQLITE_IOCAP_POWERSAFE_OVERWRITE; }

static const sqlite3_io_methods methods = {
  .iVersion = 1, .xClose = file_close, .xRead = file_read, .xWrite = file_write, .xTruncate = file_truncate,
  .xSync = file_sync, .xFileSize = file_size, .xLock = file_lock, .xUnlock = file_unlock,
  .xCheckReservedLock = file_check_reserved, .xFileControl = file_control, .xSectorSize = file_sector_size,
  .xDeviceCharacteristics = file_characteristics,
};

// MARK: The VFS

static simulated_disk *disk_of(const char *path, const char **name) {
  if (!path || strncmp(path, folder, strlen(folder))) return NULL;
  char *end;
  uint64_t number = strtoull(path + strlen(folder), &end, 10);
  if (*end != '/' || number >= DISKS) return NULL;
  *name = end + 1;
  pthread_mutex_lock(&disks_lock);
  simulated_disk *disk = disks[number];
  pthread_mutex_unlock(&disks_lock);
  return disk;
}

static struct file *find(simulated_disk *disk, const char *name, int makes) {
  struct file *free_one = NULL;
  for (int i = 0; i < FILES; i++) {
    struct file *file = &disk->files[i];
    if (file->name[0] && !strcmp(file->name, name)) return file->exists || makes ? file : NULL;
    if (!file->name[0] && !free_one) free_one = file;
  }
  if (!makes || !free_one || strlen(name) >= NAME_BYTES) return NULL;
  strcpy(free_one->name, name);
  return free_one;
}

static int vfs_open(sqlite3_vfs *vfs, sqlite3_filename path, sqlite3_file *base, int flags, int *out_flags) {
  (void)vfs;
  const char *name;
  simulated_disk *disk = disk_of(path, &name);
  if (!disk) return original->xOpen(original, path, base, flags, out_flags);
  struct handle *handle = (struct handle *)base;
  memset(handle, 0, sizeof *handle);
  struct file *file = disk->is_gone ? NULL : find(disk, name, (flags & SQLITE_OPEN_CREATE) != 0);
  if (!file) return SQLITE_CANTOPEN;
  file->exists = 1;
  handle->disk = disk;
  handle->file = file;
  handle->generation = disk->generation;
  handle->base.pMethods = &methods;
  if (out_flags) *out_flags = flags;
  return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *path, int syncs) {
  (void)vfs;
  const char *name;
  simulated_disk *disk = disk_of(path, &name);
  if (!disk) return original->xDelete(original, path, syncs);
  struct file *file = find(disk, name, 0);
  if (!file) return SQLITE_IOERR_DELETE_NOENT;
  if (disk->is_gone || (file->owner && file->owner->generation != disk->generation)) return SQLITE_IOERR_DELETE;
  forget_changes(file);
  file->exists = file->is_durable = 0;
  file->now.length = file->durable.length = 0;
  return SQLITE_OK;
}

static int vfs_access(sqlite3_vfs *vfs, const char *path, int flags, int *result) {
  (void)vfs;
  const char *name;
  simulated_disk *disk = disk_of(path, &name);
  if (!disk) return original->xAccess(original, path, flags, result);
  *result = find(disk, name, 0) != NULL;
  return SQLITE_OK;
}

static int vfs_full_path(sqlite3_vfs *vfs, const char *path, int length, char *out) {
  (void)vfs;
  if (strncmp(path, folder, strlen(folder))) return original->xFullPathname(original, path, length, out);
  return snprintf(out, (size_t)length, "%s", path) < length ? SQLITE_OK : SQLITE_CANTOPEN;
}

static char *path_of(const simulated_disk *disk, const char *name, char *path, size_t room) {
  snprintf(path, room, "%s%llu%s", folder, (unsigned long long)disk->number, name);
  return path;
}

static void remove_files(const simulated_disk *disk) {
  char path[64];
  unlink(path_of(disk, "/queue.db", path, sizeof path));
  rmdir(path_of(disk, "", path, sizeof path));
}

// Some disks live as long as the process.
static void remove_folder(void) {
  for (int i = 0; i < DISKS; i++)
    if (disks[i]) remove_files(disks[i]);
  rmdir(folder);
}

void simulated_disks_install(void) {
  pthread_mutex_lock(&disks_lock);
  if (!original) {
    folder[strlen(folder) - 1] = 0;
    if (mkdtemp(folder)) atexit(remove_folder);
    folder[strlen(folder)] = '/';
    sqlite3_initialize();
    original = sqlite3_vfs_find(NULL);
    simulated = *original;
    simulated.pNext = NULL;
    simulated.zName = "simulated";
    if (simulated.szOsFile < (int)sizeof(struct handle)) simulated.szOsFile = sizeof(struct handle);
    simulated.xOpen = vfs_open;
    simulated.xDelete = vfs_delete;
    simulated.xAccess = vfs_access;
    simulated.xFullPathname = vfs_full_path;
    sqlite3_vfs_register(&simulated, 1);
  }
  pthread_mutex_unlock(&disks_lock);
}

// MARK: Disks

simulated_disk *simulated_disk_make(uint64_t seed) {
  simulated_disk *disk = calloc(1, sizeof *disk);
  if (!disk) return NULL;
  disk->random = seed;
  disk->number = DISKS;
  pthread_mutex_lock(&disks_lock);
  for (uint64_t i = 0; i < DISKS && disk->number == DISKS; i++)
    if (!disks[i]) disks[disk->number = i] = disk;
  pthread_mutex_unlock(&disks_lock);
  char path[64];
  if (disk->number < DISKS) mkdir(path_of(disk, "", path, sizeof path), 0700);
  else free(disk), disk = NULL;
  return disk;
}

void simulated_disk_free(simulated_disk *disk) {
  remove_files(disk);
  pthread_mutex_lock(&disks_lock);
  disks[disk->number] = NULL;
  pthread_mutex_unlock(&disks_lock);
  for (int i = 0; i < FILES; i++) {
    forget_changes(&disk->files[i]);
    free(disk->files[i].now.data);
    free(disk->files[i].durable.data);
  }
  free(disk);
}

void simulated_disk_path(const simulated_disk *disk, char *path, size_t room) { path_of(disk, "/queue.db", path, room); }

int simulated_disk_copy(const simulated_disk *from, simulated_disk *to) {
  to->generation++;
  to->is_gone = to->is_full = to->has_struck = 0;
  to->armed = SIMULATED_NONE;
  for (int i = 0; i < FILES; i++) {
    const struct file *source = &from->files[i];
    struct file *file = &to->files[i];
    forget_changes(file);
    memcpy(file->name, source->name, NAME_BYTES);
    file->exists = file->is_durable = source->exists;
    if (!copy_bytes(&source->now, &file->now) || !copy_bytes(&source->now, &file->durable)) return 0;
  }
  return 1;
}

int simulated_disk_cut(simulated_disk *disk, int power) {
  disk->generation++;
  disk->is_gone = disk->is_full = disk->has_struck = 0;
  disk->armed = SIMULATED_NONE;
  for (int i = 0; power && i < FILES; i++)
    if (!keep_some(disk, &disk->files[i])) return 0;
  return 1;
}

void simulated_disk_arm(simulated_disk *disk, enum simulated_fault fault, int64_t skip) {
  disk->armed = fault;
  disk->skip = skip;
  disk->has_struck = 0;
}

int simulated_disk_disarm(simulated_disk *disk) {
  disk->armed = SIMULATED_NONE;
  disk->is_full = 0;
  int had = disk->has_struck;
  disk->has_struck = 0;
  return had;
}

void simulated_disk_lie(simulated_disk *disk, int lies) { disk->lies = lies; }

uint64_t simulated_disk_operations(const simulated_disk *disk) { return disk->operations; }
