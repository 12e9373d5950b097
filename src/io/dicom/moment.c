/* See moment.h. */
#include "moment.h"

#include "core/base/number.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static bool field(const char **text, int count, int low, int high, int *value) {
    *value = 0;
    for (int i = 0; i < count; i++, ++*text) {
        if (!is_digit(**text)) return false;
        *value = *value * 10 + **text - '0';
    }
    return *value >= low && *value <= high;
}

static bool mark(const char **text, char c) {
    if (**text != c) return false;
    ++*text;
    return true;
}

static bool read_zone(const char *text, int *minutes) {
    int hours, rest = 0;
    const bool west = *text == '-';
    if (!mark(&text, '+') && !mark(&text, '-')) return false;
    if (!field(&text, 2, 0, 14, &hours)) return false;
    (void)mark(&text, ':');
    if (*text && !field(&text, 2, 0, 59, &rest)) return false;
    *minutes = (west ? -1 : 1) * (hours * 60 + rest);
    return !*text;
}

static int days_in(int year, int month) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

bool moment_read(struct moment *moment, const char *text) {
    *moment = (struct moment){0};
    if (!field(&text, 4, 1900, 9998, &moment->year) || !mark(&text, '-') || !field(&text, 2, 1, 12, &moment->month) ||
        !mark(&text, '-') || !field(&text, 2, 1, days_in(moment->year, moment->month), &moment->day))
        return false;
    if (!mark(&text, 'T') || !field(&text, 2, 0, 23, &moment->hour) || !mark(&text, ':') ||
        !field(&text, 2, 0, 59, &moment->minute))
        return false;
    if (mark(&text, ':') && !field(&text, 2, 0, 59, &moment->second)) return false;
    if (mark(&text, '.')) {
        if (!is_digit(*text)) return false;
        for (int unit = 100000; is_digit(*text); text++, unit /= 10) moment->microsecond += unit * (*text - '0');
    }
    moment->zoned = *text != 0;
    return !*text || strcmp(text, "Z") == 0 || read_zone(text, &moment->zone);
}

void moment_now(struct moment *moment) {
    struct timespec now;
    struct tm here;
    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &here);
    *moment = (struct moment){.year = here.tm_year + 1900,
                              .month = here.tm_mon + 1,
                              .day = here.tm_mday,
                              .hour = here.tm_hour,
                              .minute = here.tm_min,
                              .second = here.tm_sec < 60 ? here.tm_sec : 59,
                              .microsecond = (int)(now.tv_nsec / 1000),
                              .zoned = true,
                              .zone = (int)(here.tm_gmtoff / 60)};
}

void moment_to_zone(struct moment *moment, const char *zone) {
    int wanted;
    if (!moment->zoned || !read_zone(zone, &wanted)) return;
    int minutes = moment->hour * 60 + moment->minute + wanted - moment->zone; /* less than two days off */
    moment->zone = wanted;
    for (; minutes < 0; minutes += 24 * 60)
        if (--moment->day == 0) {
            if (--moment->month == 0) moment->month = 12, moment->year--;
            moment->day = days_in(moment->year, moment->month);
        }
    for (; minutes >= 24 * 60; minutes -= 24 * 60)
        if (++moment->day > days_in(moment->year, moment->month)) {
            moment->day = 1;
            if (++moment->month > 12) moment->month = 1, moment->year++;
        }
    moment->hour = minutes / 60, moment->minute = minutes % 60;
}

void moment_print(const struct moment *moment, char date[9], char time[16], char zone[6]) {
    snprintf(date, 9, "%04d%02d%02d", moment->year % 10000, moment->month % 100, moment->day % 100);
    snprintf(time, 16, "%02d%02d%02d", moment->hour % 100, moment->minute % 100, moment->second % 100);
    if (moment->microsecond > 0) snprintf(time + 6, 10, ".%06d", moment->microsecond % 1000000);
    const int off = moment->zone < 0 ? -moment->zone : moment->zone;
    zone[0] = 0;
    if (moment->zoned) snprintf(zone, 6, "%c%02d%02d", moment->zone < 0 ? '-' : '+', off / 60 % 100, off % 60);
}
