#include "Disk.h"

#include <stdlib.h>
#include <string.h>

simulated_disk *simulated_disk_make(uint64_t seed) {
  simulated_disk *disk = calloc(1, sizeof *disk);
  if (!disk) return NULL;
  disk->random = seed;
  if (!mount_disk(disk)) free(disk), disk = NULL;
  return disk;
}

void simulated_disk_free(simulated_disk *disk) {
  unmount_disk(disk);
  for (int i = 0; i < FILES; i++) {
    forget_changes(&disk->files[i]);
    free(disk->files[i].now.data);
    free(disk->files[i].durable.data);
  }
  free(disk);
}

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
