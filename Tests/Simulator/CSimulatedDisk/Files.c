#include "Disk.h"

#include <string.h>

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
  int is_noted = put_bytes(&file->now, offset, data, length) && note_change(file, offset, data, length);
  return is_noted ? SQLITE_OK : SQLITE_IOERR_NOMEM;
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

const sqlite3_io_methods simulated_file_methods = {
  .iVersion = 1, .xClose = file_close, .xRead = file_read, .xWrite = file_write, .xTruncate = file_truncate,
  .xSync = file_sync, .xFileSize = file_size, .xLock = file_lock, .xUnlock = file_unlock,
  .xCheckReservedLock = file_check_reserved, .xFileControl = file_control, .xSectorSize = file_sector_size,
  .xDeviceCharacteristics = file_characteristics,
};
