;; A policy as no compiler makes one: it denies whatever is no photo.
;;
;; What lies where in memory:
;;   1024  texts
;;   1200  the description
;;   1240  the result of validate-settings: ok
;;   1280  the judgement, and from 1296 its one finding
;;   4096  what the host passes in
(module
  (memory (export "memory") 1)

  (data (i32.const 1024) "photos-only")
  (data (i32.const 1040) "1.0.0")
  (data (i32.const 1056) "Forbids the erasure of anything but photos.")
  (data (i32.const 1120) "{}")
  (data (i32.const 1136) "is a photo")
  (data (i32.const 1152) "is no photo")
  ;; name, version, summary and schema, each an address and a length
  (data (i32.const 1200) "\00\04\00\00\0b\00\00\00\10\04\00\00\05\00\00\00"
                         "\20\04\00\00\2b\00\00\00\60\04\00\00\02\00\00\00")

  (global $free (mut i32) (i32.const 4096))
  (func (export "cabi_realloc")
    (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
    (local $at i32)
    (local.set $at
      (i32.and
        (i32.add (global.get $free) (i32.sub (local.get $align) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $align))))
    (global.set $free (i32.add (local.get $at) (local.get $size)))
    (local.get $at))

  (func (export "atropos:policy/policy@0.1.0#describe") (result i32)
    (i32.const 1200))

  (func (export "atropos:policy/policy@0.1.0#validate-settings")
    (param $settings i32) (param $length i32) (result i32)
    (i32.const 1240))

  (func (export "atropos:policy/policy@0.1.0#review") (param $request i32) (result i32)
    (local $kind i32)
    ;; The kind of the object: 0 is a photo. By luck, 0 is `allow` and `passed` as well.
    (local.set $kind (i32.load8_u offset=24 (local.get $request)))
    (i32.store8 (i32.const 1280) (local.get $kind))
    (i32.store (i32.const 1284) (i32.const 1296))
    (i32.store (i32.const 1288) (i32.const 1))
    (i32.store (i32.const 1296) (i32.const 1024))
    (i32.store (i32.const 1300) (i32.const 11))
    (i32.store8 (i32.const 1304) (local.get $kind))
    (i32.store (i32.const 1308)
      (select (i32.const 1152) (i32.const 1136) (local.get $kind)))
    (i32.store (i32.const 1312) (i32.add (i32.const 10) (local.get $kind)))
    (i32.const 1280)))
