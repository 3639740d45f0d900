#include "Disk.h"

#include <stdlib.h>
#include <string.h>

#define SECTOR 512

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

int put_bytes(struct bytes *bytes, int64_t offset, const uint8_t *data, int64_t length) {
  if (!reserve(bytes, offset + length)) return 0;
  if (offset > bytes->length) memset(bytes->data + bytes->length, 0, (size_t)(offset - bytes->length));
  memcpy(bytes->data + offset, data, (size_t)length);
  if (offset + length > bytes->length) bytes->length = offset + length;
  return 1;
}

int copy_bytes(const struct bytes *from, struct bytes *to) {
  to->length = 0;
  return from->length == 0 || put_bytes(to, 0, from->data, from->length);
}

void forget_changes(struct file *file) {
  for (struct change *change = file->first, *next; change; change = next) {
    next = change->next;
    free(change->data);
    free(change);
  }
  file->first = file->last = NULL;
}

int note_change(struct file *file, int64_t offset, const void *data, int length) {
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
  if (change->length >= 0) return put_bytes(bytes, change->offset, change->data, change->length);
  if (change->offset < bytes->length) bytes->length = change->offset;
  return 1;
}

int make_durable(struct file *file) {
  for (struct change *change = file->first; change; change = change->next)
    if (!apply_change(&file->durable, change)) return 0;
  forget_changes(file);
  file->is_durable = file->exists;
  return 1;
}

int keep_some(simulated_disk *disk, struct file *file) {
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
      if (next_random(disk) % 2 && !put_bytes(&file->durable, change->offset + at, change->data + at, length)) return 0;
    }
  }
  forget_changes(file);
  file->is_durable = file->exists;
  if (!file->exists) file->durable.length = 0;
  return copy_bytes(&file->durable, &file->now);
}
