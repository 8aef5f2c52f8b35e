/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dkim_keys: the keys that the corpus is signed with, made once for it and
 * for nothing else, so that one seed makes the same octets each time.
 */
#ifndef TESTS_DKIM_KEYS_H
#define TESTS_DKIM_KEYS_H

static const char *const dkim_keys[] = {
	"-----BEGIN PRIVATE KEY-----\n"
	"MIICdwIBADANBgkqhkiG9w0BAQEFAASCAmEwggJdAgEAAoGBANT+rci1tlbZkI3i\n"
	"RlqIUkjB00JApMhYEM4szIYQ4hWlBDwlBwl6mxuRugl/y8ArN13rohdmOS/CwUyB\n"
	"bIL8ikzWw7PlBToJX6xtoAprgpBOQUcoCZHRv/WvwF7aW3/HjHK4P13iCI2shco5\n"
	"ZLFIzm1t5uJGlnztJhGjjUvpxmkNAgMBAAECgYBU9HAkijX8VjMOJJ6jJZSMaKL2\n"
	"3gnbzySE1+GL59gFghg6VRqFcV3ElU960npWX+Zpk77HToKoximLdmPtqwUN/hhm\n"
	"0vOBNCIQ/HEJrZGe641k/s53nD8iaghodSOiaFfNvgQssb7BNTF+QEGx59it1rJi\n"
	"N7x9EM902GXw+bBikQJBAPwa42xTyaXkEjuUl3AKxYe8mCWCJ/GFTPbD51zvZCon\n"
	"vxR6XYfG+nacakpZmpJl/qIm+cSOaIUvT3gyYGZzzScCQQDYSRqiMcU+CjkFK8kt\n"
	"k/QDjD0hSRqP0V+S68EfDU/fayUbqVF2Y2RmB5VFa/u07uZIH7fVXdy6Qz+a2vcc\n"
	"rKCrAkAooxztpUPn3a+isv0GLnZQvvG3ehd+MwKI9GMi8+Otd+KxJlhVPpm47NWl\n"
	"TnRADPjSon24VUw7y7h/o38uhJQZAkEAjEdN2OjC7yweM3ZkswUE/NAWTeJmMeUw\n"
	"QdBan1M4/MU3eitlRI3ObkZ40F/rDzzratf3mZGZOc2oET33jEeCpQJBALEga1Px\n"
	"QH1exA0YTnVIN82dCJFr5IvaAnEEXFcnsWwgRt/ss8XBid6pMyMiiJe2zPmSMfTS\n"
	"N8UjtZyCBOYn8VI=\n"
	"-----END PRIVATE KEY-----\n",
	"-----BEGIN PRIVATE KEY-----\n"
	"MIIEvAIBADANBgkqhkiG9w0BAQEFAASCBKYwggSiAgEAAoIBAQC9SUE97c67Wehw\n"
	"yJ8+n7AXkRDaQFOJrBcDdVI8XfGO+Uu94C7fMYs9Nb6yfGlpmR6MuPvzy40pkI9E\n"
	"y5SrYZ3+aC1L3e7/0fU8mk3Mmhngd+H65WNcQPowc/0ErYgdfzZqpuZZEbWQCFDs\n"
	"2fAAVjkt0iA91k+JpW6pzLYaVNRk8Lc7H8xmdswApzjGYLqKjT3xJwCh2d2uHwHJ\n"
	"eMeaRXLfdPnicM0StVLy0DlN3ztC3dOVC2AjkxRLX8aZslLupO1lxTeE1HgLB49F\n"
	"w0PgXCPptZlx2rWfnYuXsGa0lWUD6RUuGLTIph5uAxAfryxztxJ8u228O2zTga1z\n"
	"+6FTOVZ7AgMBAAECgf8arPrHoMc7Ag4zhd/TeZ2q1T5VIEiRHt9XfMGTFa8Y4eoH\n"
	"p4/08pTjBpM4A+FY6InaLWf5Xnpmsh5JmBoq2MTUq9+vgXqqenTwKILDnAcUxje9\n"
	"3eSGzU8MNJcKA5aQnVSu1MMXRL9rCs4nLweKZ5j018hIpJCU53lC2ELhREtNWfPw\n"
	"/EeItyKFKGl0WOH9gXxUtxd2bhnnvHVCohnT0i3mRH6lccBpMOUPZjkBmX37sdKQ\n"
	"Wjm1OxvBieFXeWxWDYw00bHhcYMDt4O0wd7Dc+MMpimJuO941jfA6+lXvQI7aBph\n"
	"msw5+YnYwQVkNYliTUE4nzLn6IVnWK4UaTZdSJECgYEA3NZsjv6uq5DrBx4JMVuj\n"
	"flFzFrrJyl4lf8G2xFAORGp703Tbt5rFlMrUfn3eNTzQGrgSCjeagtjxEHH/DoFT\n"
	"8pXmP3+UYSQQQWQVnDbz0528+LN2SS6hmBh+EeVh6bio+2y97OmPKEIi1Ts0MQ+T\n"
	"r33XPFKs5ZwBKBgyeAHklKMCgYEA22zCpiDOsWx0jm+i7OZHqDzsmbImdRWNPOVZ\n"
	"JmtbID+a+UMTWUNSZpAvCsWyH7spr6ZARi4b4+CW3boSqqqVV4A+FyfQxjjDKiHQ\n"
	"ekHNomH7oG4d5D49op6sMxdmUhQlaHmelsOsFdyuL/eUfwPPTRRPfKA83T8sQ+ED\n"
	"Qq+EfEkCgYAwgnl+P7umvEKkYZirWvHjAYlCaO2CooOiOK8pGFzJ8ooYvQa2oizc\n"
	"rmFXF9cD4sPj2qM701MBgx4Q+rmIOihylTLqp9+0JvPbKV0F35xX08J67xEAqlmc\n"
	"y2SGEdkcOhAEirJ9pCBqO3zjUgn47O8IEaCCA7cvCMHISOhtLB1F+QKBgQDZvaGi\n"
	"zWeOtPss5SceQp3VGzAGjLyQ72QKi+TdtSbmZ3fX5nHq4F2CnY2w+OF7j3UccrPR\n"
	"cKwIg7PyL1WaulAcVoxG2iHYsjcpNgj1aRswCl9yohNTjVgIacCjqpLE3G0KsbVo\n"
	"EqBPyX+o5dwb9qHd8Uu3diMvwiKg8UcVA6tK0QKBgQCxUzufGkc0eAERCfmAVSmA\n"
	"R8Jv61IPJIZbSnjqY0a7EYacuOWOwS+gS9mOx1e4+rnI9t5q1oFIoKtlUPiFrGGH\n"
	"RN7h+PV8Gfo9ZEB6sPHMVsN+u3OMyHq0N68bVdyp0JtdJFlNcQCW64aFEszAcoqg\n"
	"jf351m+DoLa/RmTRQk1F8Q==\n"
	"-----END PRIVATE KEY-----\n",
	"-----BEGIN PRIVATE KEY-----\n"
	"MC4CAQAwBQYDK2VwBCIEIDl/glw/Kr7Myifxmz/qdfI51LB1qVBzmK9n95N+2ZvJ\n"
	"-----END PRIVATE KEY-----\n",
	"-----BEGIN PRIVATE KEY-----\n"
	"MIIB5gIBADANBgkqhkiG9w0BAQEFAASCAdAwggHMAgEAAmEA3QqPm4neTiFDjXDK\n"
	"ctclTnfO3Oy9XXpBTR/dAAOCRd+SlRZiSpmc2uk27OsGO0cOq2lXldUvbOzMYUvr\n"
	"nLbTyRF/Kj4CDn9te3+OIYgrRzP+ewYLmnGwW2ycIARasbN1AgMBAAECYQDY9PK7\n"
	"0fjXayLpA1pSmgXOHR54Dg5YYBUUZEABMXB+sNEpcI0Nd/VTkTEOHilBqZ1S9z2k\n"
	"66tnM322dl9ZLiiSFHQKpUjPr0S9fj5iEtke+c14U0eup9SJBw7Kony0+wkCMQD5\n"
	"X0JekJyjbmzupBx+hPnOOilAhTRGIOtQx8cysze409/DE/1Y0i9milOI87VZ3NsC\n"
	"MQDi6omAvoz/QZc+bNqnKbvcPa2EsfgFCSxmk7ii8QUHIfZ7pEaeFQEj5OMTj88L\n"
	"ee8CMQC2QDmIVVY1V2oDiytMCDFt2DH39qI6sqpoUmmyEyshSK/bqctZ09tSrLva\n"
	"dorOz0sCMQChF5wyeBSlCi2TNbgswGYLvwW2lJndCVwqHmkP1EebfrL7p+4yP/sl\n"
	"PlMvCgMUxKUCMF1JxJpcCos98ZdWKeWTz2QcU7dLvNqiAdkMezUirLYrm6migcRX\n"
	"xbgVkiGyhpVtmg==\n"
	"-----END PRIVATE KEY-----\n",
};

#endif
