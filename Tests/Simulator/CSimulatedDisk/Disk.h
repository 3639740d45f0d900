#ifndef DISK_H
#define DISK_H
#include "CSimulatedDisk.h"

#include <sqlite3.h>

// What the files of this target share. Durability.c keeps what is written of a file and what is durable, Files.c is SQLite's
// view of one file, VFS.c of all disks; CSimulatedDisk.c is their owners' view.

enum { NAME_BYTES = 48, FILES = 6 };

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

/// 0 when there is no memory, as with all of these.
int put_bytes(struct bytes *bytes, int64_t offset, const uint8_t *data, int64_t length);
int copy_bytes(const struct bytes *from, struct bytes *to);

void forget_changes(struct file *file);
int note_change(struct file *file, int64_t offset, const void *data, int length);
/// A sync: what was noted is durable.
int make_durable(struct file *file);
/// What is left of unsynced changes after a power cut: each sector of each of them, or not.
int keep_some(simulated_disk *disk, struct file *file);

/// SQLite's calls for an open file.
extern const sqlite3_io_methods simulated_file_methods;

/// Gives the disk a number and a folder; 0 when there is none left.
int mount_disk(simulated_disk *disk);
void unmount_disk(simulated_disk *disk);
#endif
