/* The system resources of the process. */

#ifndef USAGE_H
#define USAGE_H

struct usage {
    long handles;
    long long private_bytes;
    long threads;
};

struct usage usage_measure(void);

#endif
