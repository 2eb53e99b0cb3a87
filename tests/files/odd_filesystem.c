// For LD_PRELOAD: a file system that lacks something, below the path prefix ODDPATH.
// ODDFS is a list of: noflock (ENOLCK: NFS without its lock service), nochmod (EPERM: exFAT, FAT), quietchmod (chmod does as
// if: SMB, WSL), nodirsync (EINVAL: some FUSE and SMB), busyrename (EBUSY: a file that is mounted), exdev (EXDEV),
// noread (EIO: a bad block).
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int on(const char *word) {
    const char *list = getenv("ODDFS");
    return list && strstr(list, word);
}

static int is_here(const char *path) {
    const char *prefix = getenv("ODDPATH");
    return path && (!prefix || strncmp(path, prefix, strlen(prefix)) == 0);
}

static int is_open_here(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return is_here(path);
}

static int fail(int with) {
    errno = with;
    return -1;
}

#define NEXT(name, ...) static int (*next)(__VA_ARGS__); if (!next) next = dlsym(RTLD_NEXT, #name)

int flock(int fd, int operation) {
    NEXT(flock, int, int);
    return on("noflock") && is_open_here(fd) ? fail(ENOLCK) : next(fd, operation);
}

int fchmod(int fd, mode_t mode) {
    NEXT(fchmod, int, mode_t);
    if (on("quietchmod") && is_open_here(fd)) return next(fd, 0777);
    return on("nochmod") && is_open_here(fd) ? fail(EPERM) : next(fd, mode);
}

int chmod(const char *path, mode_t mode) {
    NEXT(chmod, const char *, mode_t);
    if (on("quietchmod") && is_here(path)) return next(path, 0777);
    return on("nochmod") && is_here(path) ? fail(EPERM) : next(path, mode);
}

int fsync(int fd) {
    NEXT(fsync, int);
    struct stat what;
    int is_odd = on("nodirsync") && is_open_here(fd) && fstat(fd, &what) == 0 && S_ISDIR(what.st_mode);
    return is_odd ? fail(EINVAL) : next(fd);
}

int open64(const char *path, int flags, ...) {
    static int (*next)(const char *, int, ...);
    if (!next) next = dlsym(RTLD_NEXT, "open64");
    if (on("noread") && is_here(path) && (flags & O_ACCMODE) == O_RDONLY) return fail(EIO);
    va_list more;
    va_start(more, flags);
    mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0;
    va_end(more);
    return next(path, flags, mode);
}

int rename(const char *from, const char *to) {
    NEXT(rename, const char *, const char *);
    if (on("busyrename") && is_here(to)) return fail(EBUSY);
    return on("exdev") && is_here(to) ? fail(EXDEV) : next(from, to);
}
