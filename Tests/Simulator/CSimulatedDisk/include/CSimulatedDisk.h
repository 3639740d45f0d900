#ifndef CSIMULATEDDISK_H
#define CSIMULATEDDISK_H
#include <stddef.h>
#include <stdint.h>

// A disk in memory beneath the real SQLite, by a VFS of its own. It tells what is written from what is durable: a write is
// durable once its file was synced; a power cut keeps what is durable and any part of the rest, sector by sector.
// A disk belongs to one thread at a time.

typedef struct simulated_disk simulated_disk;

/// What befalls the disk.
enum simulated_fault {
  SIMULATED_NONE = 0,
  /// One write fails with an I/O error.
  SIMULATED_WRITE_ERROR = 1,
  /// One sync fails; what it should have made durable stays in doubt.
  SIMULATED_SYNC_ERROR = 2,
  /// No file grows until the fault is lifted.
  SIMULATED_FULL = 3,
  /// From this operation on nothing reaches the disk: the process is gone.
  SIMULATED_GONE = 4,
  /// One read fails.
  SIMULATED_READ_ERROR = 5,
};

/// Puts the VFS in front of SQLite's own, for names of simulated disks only. Call it before the first database is opened.
void simulated_disks_install(void);

/// A new, empty disk; NULL when there is no memory. `seed` decides what a power cut keeps.
simulated_disk *simulated_disk_make(uint64_t seed);
void simulated_disk_free(simulated_disk *disk);

/// Writes where SQLite finds the queue's database into `path`, which has `room` bytes.
void simulated_disk_path(const simulated_disk *disk, char *path, size_t room);

/// Makes `to` hold what `from` holds, all of it durable. Connections to `to` are cut off. 0 when there is no memory.
int simulated_disk_copy(const simulated_disk *from, simulated_disk *to);

/// Cuts every connection off, as when its process dies: what it writes from now on is lost.
/// A `power` cut loses what was not synced too, all or some of it. 0 when there is no memory.
int simulated_disk_cut(simulated_disk *disk, int power);

/// Lets `fault` strike at the operation that comes after `skip` others of its kind (writes and syncs, for GONE).
void simulated_disk_arm(simulated_disk *disk, enum simulated_fault fault, int64_t skip);
/// Lifts whatever was armed or stands. 1 when the fault had struck.
int simulated_disk_disarm(simulated_disk *disk);

/// A disk that says it has synced and has not.
void simulated_disk_lie(simulated_disk *disk, int lies);

/// Writes and syncs so far.
uint64_t simulated_disk_operations(const simulated_disk *disk);
#endif
