#include "Disk.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// Names are "<folder><number>/<name>"; SQLite's own VFS serves all others. The folder is a real one, with an empty file in
// the database's place, for whoever looks at the file by other means than SQLite.
static char folder[] = "/tmp/simulated-XXXXXX/";
enum { DISKS = 256 };

static pthread_mutex_t disks_lock = PTHREAD_MUTEX_INITIALIZER;
static simulated_disk *disks[DISKS];
static sqlite3_vfs *original;
static sqlite3_vfs simulated;

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
  handle->base.pMethods = &simulated_file_methods;
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

int mount_disk(simulated_disk *disk) {
  disk->number = DISKS;
  pthread_mutex_lock(&disks_lock);
  for (uint64_t i = 0; i < DISKS && disk->number == DISKS; i++)
    if (!disks[i]) disks[disk->number = i] = disk;
  pthread_mutex_unlock(&disks_lock);
  if (disk->number == DISKS) return 0;
  char path[64];
  mkdir(path_of(disk, "", path, sizeof path), 0700);
  return 1;
}

void unmount_disk(simulated_disk *disk) {
  remove_files(disk);
  pthread_mutex_lock(&disks_lock);
  disks[disk->number] = NULL;
  pthread_mutex_unlock(&disks_lock);
}

void simulated_disk_path(const simulated_disk *disk, char *path, size_t room) { path_of(disk, "/queue.db", path, room); }
